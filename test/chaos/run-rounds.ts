import { setTimeout as sleep } from 'node:timers/promises';
import { endpoints } from '../stack/endpoints.ts';
import type { PlannedRound } from './kind-list.ts';
import type { Load } from './load.ts';
import { openRound } from './open-round.ts';
import { openPeers } from './peers.ts';
import type { Peers } from './peers.ts';
import { isKept, nothingProved } from './proof.ts';
import type { Proof } from './round.ts';
import { controlStack } from './stack.ts';

export type RunWish = {
  rounds: readonly PlannedRound[];
  env: NodeJS.ProcessEnv;
  print: (line: string) => void;
};

/** What became of one round. */
export type RoundResult = PlannedRound & {
  seconds: number;
  /** From the end of the fault to the next commit; undefined where the round did not come so far. */
  recoverySeconds: number | undefined;
  proof: Proof;
  /** Why it failed; undefined where its promise was kept. */
  failure: string | undefined;
};

const progressEveryMs = 2_000;
const roundMsMax = 600_000;
/** A recovery that takes longer is worth a look: what the pipelines said is kept. */
const slowRecoverySeconds = 30;

/**
 * Runs one round after the other on the stack that the environment names, tells of each in one line and of the
 * one under way every two seconds. A round that fails does not end the run.
 */
export async function runRounds({ rounds, env, print }: RunWish): Promise<RoundResult[]> {
  const peers = await openPeers(endpoints);
  const results: RoundResult[] = [];
  const runId = Date.now() % 10_000_000;
  for (const [index, planned] of rounds.entries()) {
    const label = `round ${index + 1}/${rounds.length} ${planned.kind.name}`;
    const name = `chaos_${runId}_${index + 1}`;
    const result = await runRound({ planned, name, label, peers, env, print });
    results.push(result);
    print(resultLine(label, result));
  }
  return results;
}

async function runRound(options: {
  planned: PlannedRound;
  name: string;
  label: string;
  peers: Peers;
  env: NodeJS.ProcessEnv;
  print: (line: string) => void;
}): Promise<RoundResult> {
  const { planned, name, label, peers, env, print } = options;
  const startedMs = Date.now();
  const seconds = (): number => (Date.now() - startedMs) / 1000;
  let said = 'makes topics';
  let directory = 'none';
  let load: Load | undefined;
  const say = (line: string): void => void (said = line);
  const ticker = setInterval(
    () => print(`  ${label}: ${seconds().toFixed(0)} s, ${load?.clicks() ?? 0} clicks; ${said}`),
    progressEveryMs,
  );
  let proof = nothingProved;
  let failure: string | undefined;
  let recoverySeconds: number | undefined;
  let close: ((wish: { keep: boolean }) => Promise<void>) | undefined;
  try {
    const opened = await openRound({ ...planned, name, peers, stack: controlStack(env, say), say });
    ({ close } = opened);
    const { round, settle } = opened;
    ({ load } = round);
    say('injects the fault');
    const { inject, prove = () => round.prove() } = planned.kind;
    const work = async (): Promise<Proof> => {
      await inject(round);
      recoverySeconds = await settle();
      return prove(round);
    };
    directory = round.directory;
    proof = await within(planned.kind.roundMsMax ?? roundMsMax, work());
    if (!isKept(proof)) failure = proof.findings.join('\n');
  } catch (error) {
    failure = describe(error);
  } finally {
    say('cleans up');
    const isSlow = (recoverySeconds ?? 0) > slowRecoverySeconds;
    if (failure !== undefined) failure += `\nfiles: ${directory}`;
    else if (isSlow) print(`  ${label}: slow to recover; files: ${directory}`);
    await close?.({ keep: isSlow || failure !== undefined });
    clearInterval(ticker);
  }
  return { ...planned, seconds: seconds(), recoverySeconds, proof, failure };
}

async function within<T>(msMax: number, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  const limit = sleep(msMax, undefined, { signal: done.signal }).then(() => {
    throw new Error(`the round took longer than ${msMax / 1000} s`);
  });
  limit.catch(() => undefined);
  try {
    return await Promise.race([work, limit]);
  } finally {
    done.abort();
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause === undefined
    ? (error.stack ?? error.message)
    : `${error.message}: ${describe(cause)}`;
}

function resultLine(label: string, result: RoundResult): string {
  const { kind, seed, seconds, recoverySeconds, proof, failure } = result;
  const { rows, rejects, lost, doubled, wrong } = proof;
  const verdict = failure === undefined ? 'ok' : 'FAILED';
  const counts = `${rows} rows, ${rejects} rejects, lost=${lost} doubled=${doubled} wrong=${wrong}`;
  const recovered = recoverySeconds?.toFixed(1) ?? '?';
  const line = `${label}: ${verdict}, ${seconds.toFixed(1)} s, next commit after ${recovered} s, ${counts}`;
  if (failure === undefined) return line;
  const repeat = `repeat with: make chaos SEED=${seed} ROUNDS=1 FAULTS=${kind.name}`;
  return `${line}\n  ${failure.replaceAll('\n', '\n  ')}\n  ${repeat}`;
}

/** The last line of a run. */
export function closingLine(results: readonly RoundResult[]): string {
  const sum = (of: 'rows' | 'lost' | 'doubled' | 'wrong'): number =>
    results.reduce((total, { proof }) => total + proof[of], 0);
  const kinds = new Set(results.map(({ kind }) => kind.name)).size;
  return (
    `chaos: rounds=${results.length} kinds=${kinds} rows=${sum('rows')} lost=${sum('lost')} ` +
    `doubled=${sum('doubled')} wrong=${sum('wrong')}`
  );
}
