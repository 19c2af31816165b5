import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pipeline } from '../../pipeline/command.ts';
import { mountSmallDisk } from '../small-disk.ts';
import type { Kind, Round } from '../round.ts';

const rebuilt = 'the state was damaged: it is built again from the change topics';
const unusable = 'a saved projection cannot be used: all rows of the dimension are read';
const fullDisk = 'no space is left for the state';

const full: Kind = {
  name: 'state-full',
  does: 'the disk under the state directory is full for ten seconds',
  promise: 'it waits, says so in the log and on /readyz, and goes on by itself once there is room',
  inject: async (round) => {
    const disk = await mountSmallDisk(round.stateDirectory);
    try {
      const pipeline = await round.startCommitting();
      await disk.fill();
      await round.until('it says what is full', () => pipeline.output().includes(fullDisk));
      await round.until('/readyz says what is full', async () =>
        (await health(pipeline, 'readyz')).text.includes(fullDisk),
      );
      await round.sleep(10_000);
      if ((await health(pipeline, 'livez')).status !== 200) throw new Error('/livez has failed');
      await disk.free();
      await pipeline.ready();
      await round.nextCommit();
      await pipeline.stop('SIGTERM');
    } finally {
      await disk.takeAway();
    }
  },
};

async function health(
  { url }: Pipeline,
  probe: 'readyz' | 'livez',
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}/${probe}`);
  return { status: response.status, text: await response.text() };
}

/** What is done to the state while no process runs; gives what the next one must say in its log, if anything. */
type Damage = (round: Round, directory: string) => Promise<string | undefined>;

/** Damage to the state of a pipeline that has been killed twice, so that its rows are in files and in a log. */
function damaged(name: string, does: string, damage: Damage): Kind {
  return {
    name,
    does,
    promise: 'no wrong row comes of it: what cannot be trusted is built again from the topics',
    inject: async (round) => {
      for (let life = 0; life < 2; life += 1) {
        const pipeline = await round.startCommitting();
        await pipeline.stop('SIGKILL');
      }
      const mustSay = await damage(round, round.stateDirectory);
      const next = await round.startCommitting();
      if (mustSay === undefined) return;
      // Rows that no change has touched are compared beside the joins, which know them from the saved projection.
      await round.until(`it says "${mustSay}"`, () => next.output().includes(mustSay));
      await round.nextCommit();
    },
  };
}

async function oneOf(round: Round, directory: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(directory)).filter((name) => pattern.test(name)).toSorted();
  const name = found[round.random.below(found.length)];
  if (name === undefined) throw new Error(`no file like ${String(pattern)} in ${directory}`);
  return join(directory, name);
}

/** Flips one bit, somewhere before the share `until` of the file. */
async function flip(round: Round, file: string, until = 1): Promise<void> {
  const bytes = await readFile(file);
  const at = round.random.below(Math.max(1, Math.floor(bytes.length * until)));
  bytes[at] = (bytes[at] ?? 0) ^ (1 << round.random.below(8));
  await writeFile(file, bytes);
  round.say(`has flipped a bit of byte ${at} of ${file}`);
}

const kinds: Kind[] = [
  full,
  damaged('state-sst-flip', 'a bit flips in a data file of the state', async (round, directory) => {
    // Behind the rows stand the filter, which a scan does not read, the index and the footer.
    await flip(round, await oneOf(round, directory, /\.sst$/), 0.5);
    return rebuilt;
  }),
  damaged(
    'state-manifest-flip',
    "a bit flips in the state's MANIFEST",
    async (round, directory) => {
      await flip(round, await oneOf(round, directory, /^MANIFEST/));
      return undefined;
    },
  ),
  damaged('state-manifest-cut', "the state's MANIFEST is cut", async (round, directory) => {
    const file = await oneOf(round, directory, /^MANIFEST/);
    await truncate(file, round.random.below((await readFile(file)).length));
    return undefined;
  }),
  damaged('state-current-flip', "a bit flips in the state's CURRENT", async (round, directory) => {
    await flip(round, join(directory, 'CURRENT'));
    return rebuilt;
  }),
  damaged('state-wal-flip', "a bit flips in the state's log", async (round, directory) => {
    await flip(round, await oneOf(round, directory, /\.log$/));
    return undefined;
  }),
  damaged('state-file-missing', 'a data file of the state is gone', async (round, directory) => {
    await rm(await oneOf(round, directory, /\.sst$/));
    return rebuilt;
  }),
  damaged(
    'state-projection-flip',
    'a bit flips in the file of a saved projection',
    async (round, directory) => {
      await flip(round, await oneOf(round, directory, /\.projection$/));
      return unusable;
    },
  ),
  {
    name: 'state-deleted',
    does: 'the state directory is deleted while no process runs',
    promise: 'it is built again from the topics before any click is joined',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await pipeline.stop('SIGKILL');
      await rm(round.stateDirectory, { recursive: true });
    },
  },
  {
    name: 'state-deleted-running',
    does: 'the state directory is deleted under a running process, which is killed later',
    promise: 'it goes on, and the next process builds the state again',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await rm(round.stateDirectory, { recursive: true });
      await round.nextCommit();
      await round.sleep(5_000);
      await round.nextCommit();
      await pipeline.stop('SIGKILL');
    },
  },
  {
    name: 'state-in-use',
    does: 'a second process is started on the state directory of the first',
    promise: 'it ends with 78 and says why; the first goes on',
    inject: async (round) => {
      await round.startCommitting();
      const second = await round.start();
      await round.mustStop(second, { code: 78, says: /is in use by another process/ });
      await round.nextCommit();
    },
  },
];

export default kinds;
