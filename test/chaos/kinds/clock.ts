import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Pipeline } from '../../pipeline/command.ts';
import type { Kind, Round } from '../round.ts';

const day = 86_400_000;
const preload = pathToFileURL(join(import.meta.dirname, '../wrong-clock.ts')).href;

/** A process whose clock is wrong; `set` changes by how much while it runs. */
async function startWrong(
  round: Round,
  errorMs: number,
  state?: string,
): Promise<{ pipeline: Pipeline; set: (errorMs: number) => Promise<void> }> {
  const file = join(round.directory, `clock-${state ?? 'first'}`);
  const set = (ms: number): Promise<void> => writeFile(file, String(ms));
  await set(errorMs);
  const env = { NODE_OPTIONS: `--import=${preload}`, CHAOS_CLOCK_ERROR: file };
  const pipeline = await round.startCommitting({ env, ...(state === undefined ? {} : { state }) });
  const wrongMs = Math.abs(logTimeMs(pipeline) - Date.now() - errorMs);
  if (wrongMs > 60_000) throw new Error(`the clock is off by ${wrongMs} ms from what it should be`);
  return { pipeline, set };
}

/** What the clock of a pipeline said when it logged last. */
function logTimeMs(pipeline: Pipeline): number {
  const last = pipeline
    .output()
    .split('\n')
    .findLast((line) => line.startsWith('{"time"'));
  return Date.parse((JSON.parse(last ?? '{}') as { time?: string }).time ?? '');
}

function wrongBy(name: string, does: string, errorMs: number): Kind {
  return {
    name,
    does: `the clock of a pipeline is a day ${does}; a process with the right time takes over from it`,
    promise: "commits go on, with times by the catalog's clock",
    inject: async (round) => {
      const { pipeline } = await startWrong(round, errorMs);
      await round.nextCommit();
      await pipeline.stop('SIGKILL');
      await round.startCommitting();
      const snapshots = (await round.metadata())?.snapshots ?? [];
      const times = snapshots.map(({ timestampMs }) => timestampMs);
      if (times.some((ms, i) => ms < (times[i - 1] ?? 0) || Math.abs(Date.now() - ms) > day / 2)) {
        throw new Error(
          `times of snapshots: ${times.map((ms) => new Date(ms).toISOString()).join()}`,
        );
      }
    },
  };
}

const kinds: Kind[] = [
  wrongBy('clock-day-ahead', 'ahead', day),
  wrongBy('clock-day-behind', 'behind', -day),
  {
    name: 'clock-jumps',
    does: 'the clock of a running pipeline jumps a day ahead, then two days back, then right again',
    promise: 'no commit waits for the clock, and /livez never fails',
    inject: async (round) => {
      const { pipeline, set } = await startWrong(round, 0);
      for (const errorMs of [day, -day, 0]) {
        await set(errorMs);
        await round.sleep(500);
        for (let commits = 0; commits < 3; commits += 1) await round.nextCommit(20_000);
        const { status } = await fetch(`${pipeline.url}/livez`);
        if (status !== 200) throw new Error(`/livez answers ${status}`);
      }
    },
  },
  {
    name: 'clock-apart',
    does: 'two pipelines of a group, one a day ahead and one a day behind',
    promise: 'both commit to the same table',
    inject: async (round) => {
      await startWrong(round, day);
      await startWrong(round, -day, 'behind');
      for (let commits = 0; commits < 6; commits += 1) await round.nextCommit();
    },
  },
];

export default kinds;
