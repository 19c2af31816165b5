import { systemClock } from '../cli/environment.ts';
import { loadConfig } from '../cli/load-config.ts';
import type { Expectation } from './compare-rows.ts';
import type { DataSet, Skew } from './data/data-set.ts';
import { openLiveClicks } from './data/live-clicks.ts';
import { nextChange, openRowChanges } from './data/row-changes.ts';
import { expectedAtCommit } from './expected-at-commit.ts';
import type { Run } from './pipeline-run.ts';

export type Rates = {
  /** Clicks a second. */
  clicks: number;
  /** Clicks a second in a burst, which begins every `everyMs` and lasts `lastsMs`; 0 for no bursts. */
  burst: { clicks: number; everyMs: number; lastsMs: number };
  /** Changes of dimension rows a second. */
  changes: number;
};

/** Clicks that went out at one moment: those from the end of the ones before to `end`. */
export type Sent = { ms: number; end: number };

export type LiveTraffic = {
  /** Every send so far, in order. */
  readonly sent: readonly Sent[];
  readonly changes: number;
  /** Sends until the signal; rejects when a send fails. */
  run(signal: AbortSignal): Promise<void>;
  /** What has to be in the table, by the dimension positions that its commits record. */
  expectation(): Promise<Expectation>;
  close(): Promise<void>;
};

const SKEW: Skew = 'zipf';
const TICK_MS = 100;

/** Clicks and changes at a rate, into the topics of a run. Memory: an object for each send and each change. */
export async function openLiveTraffic(options: {
  run: Run;
  dataSet: DataSet;
  rates: Rates;
}): Promise<LiveTraffic> {
  const { run, dataSet, rates } = options;
  const { config, contracts } = await loadConfig({
    config: run.pipelineFile,
    contracts: 'schemas',
  });
  const { avroSchema } = contracts.stream;
  const clicks = await openLiveClicks({ config, avroSchema, dataSet, skew: SKEW });
  const changes = await openRowChanges(config, dataSet);
  const sent: Sent[] = [];
  let changed = 0;
  const sendClicks = async (count: number): Promise<void> => {
    const ms = systemClock.nowMs();
    await clicks.send(count, ms);
    sent.push({ ms, end: clicks.sent });
  };
  const sendChanges = async (count: number): Promise<void> => {
    const { size } = dataSet;
    const group = Array.from({ length: count }, (_, i) =>
      nextChange(changed + i, { size, random: systemClock.random }),
    );
    changed += count;
    await changes.send(group, systemClock.nowMs());
  };
  return {
    sent,
    get changes() {
      return changed;
    },
    async run(signal) {
      await Promise.all([
        pace((elapsedMs) => dueClicks(rates, elapsedMs), sendClicks, signal),
        pace((elapsedMs) => (rates.changes * elapsedMs) / 1_000, sendChanges, signal),
      ]);
    },
    expectation: () =>
      expectedAtCommit({ config, dataSet, clicks: { count: clicks.sent, skew: SKEW }, changes }),
    async close() {
      await Promise.all([clicks.close(), changes.close()]);
    },
  };
}

/** Clicks that are due after some time at the rates. */
export function dueClicks({ clicks, burst }: Rates, elapsedMs: number): number {
  const steady = (clicks * elapsedMs) / 1_000;
  if (burst.clicks === 0) return steady;
  const whole = Math.floor(elapsedMs / burst.everyMs);
  // A burst ends a period, so that a run begins with steady traffic.
  const intoBurst = Math.max(0, (elapsedMs % burst.everyMs) - (burst.everyMs - burst.lastsMs));
  return steady + ((burst.clicks - clicks) * (whole * burst.lastsMs + intoBurst)) / 1_000;
}

/** Sends what is due, over and over; what a slow send has delayed goes out with the next. */
async function pace(
  dueAfter: (elapsedMs: number) => number,
  send: (count: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const startMs = systemClock.elapsedMs();
  for (let done = 0; !signal.aborted;) {
    const due = Math.floor(dueAfter(systemClock.elapsedMs() - startMs)) - done;
    if (due > 0) await send(due);
    done += Math.max(0, due);
    await systemClock.sleep(TICK_MS, signal);
  }
}
