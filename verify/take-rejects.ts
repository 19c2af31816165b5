import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { checkFooter, failing } from './file-claims.ts';
import type { Account } from './offset-account.ts';
import { recordedCommits, recordedPipelines } from './recorded.ts';
import type { TableSource } from './reject-rows.ts';
import type { Findings } from './report.ts';
import {
  currentSchema,
  readDeletes,
  scanRows,
  type FileSink,
  type ScannedFile,
  type ScannedBlock,
} from './scan-rows.ts';
import { openTaker, type FileOwner } from './take-offsets.ts';

export type TakenRejects = {
  taken: number;
  /** Rejects that no account answers for: of change topics, of a topic that was recreated. */
  ofOthers: number;
  /** Whether some may be of several pipelines. */
  areMixed: boolean;
};

/** The last one is not in tables that were made before it. */
const COLUMNS = ['_kafka_topic', '_kafka_partition', '_kafka_offset'];
const TOPIC_ID = '_kafka_topic_id';

/**
 * Puts the rejects of the stream into the accounts: live rows of the dead-letter table, and those of files
 * that a commit of the events table has decided on but the dead-letter table does not list yet.
 * Errors: as `scanRows`, `readDeletes`.
 */
export async function takeRejects(
  options: Pick<TableSource, 'deadLetter' | 'store' | 'listFiles'> & {
    accounts: readonly Account[];
    findings: Findings;
  },
): Promise<TakenRejects> {
  const { deadLetter, store, listFiles, accounts, findings } = options;
  const seen = { taken: 0, ofOthers: 0, areMixed: false };
  if (deadLetter === undefined) return seen;
  const { files, deletes } = await listFiles(deadLetter);
  const live = new Set(files.map(({ location }) => location));
  const pending = accounts.flatMap((account) =>
    account.state.pendingFiles
      .filter(({ location }) => !live.has(location))
      .map((file) => ({ ...file, owner: { accounts: [account], commit: undefined } })),
  );
  const ownerOf = rejectOwners(deadLetter, accounts);
  const listed = files.map((file) => ({ ...file, owner: ownerOf(file.snapshotId) }));
  const hasTopicId = currentSchema(deadLetter).fields.some(({ name }) => name === TOPIC_ID);
  const deleted = await readDeletes(store, deletes);
  const scan = (some: readonly OwnedFile[]): Promise<void> =>
    scanRows({
      store,
      metadata: deadLetter,
      files: some,
      deleted,
      columns: hasTopicId ? [...COLUMNS, TOPIC_ID] : COLUMNS,
      sinkOf: (file): FileSink => {
        const { location, owner } = file;
        const take = openTaker({ as: 'rejects', owner, findings, location });
        return {
          take(block) {
            const taken = take.block(block, accountsByTopic(block, owner.accounts));
            seen.taken += taken;
            seen.ofOthers += liveRows(block) - taken;
          },
          end: (rowCount) => checkFooter(file, rowCount, findings),
          fail: failing(file, findings),
        };
      },
    });
  // What is known to be of one pipeline first: the others take the room that is left.
  await scan([...listed.filter((file) => !isMixed(file)), ...pending]);
  await scan(listed.filter(isMixed));
  return { ...seen, areMixed: listed.some(isMixed) };
}

type OwnedFile = ScannedFile & { owner: FileOwner };

function isMixed({ owner }: OwnedFile): boolean {
  return owner.accounts.length > 1;
}

/** The accounts whose log a row names; by its topic alone where the row has no topic id. */
function accountsByTopic(
  block: ScannedBlock,
  accounts: readonly Account[],
): (row: number) => readonly Account[] {
  const topics = block.column('_kafka_topic');
  const topicIds = block.column(TOPIC_ID);
  const known = new Map<string, readonly Account[]>();
  return (row) => {
    const topic = String(topics[row]);
    const topicId = topicIds[row] ?? null;
    const name = JSON.stringify([topic, topicId]);
    const found =
      known.get(name) ??
      accounts.filter(
        ({ state: { log } }) =>
          log.topic === topic && (topicId === null || log.topicId === topicId),
      );
    known.set(name, found);
    return found;
  };
}

/**
 * By snapshot: the stream's commits in the dead-letter table are named after pipeline and topic id. Those of
 * another pipeline or topic are nobody's here; what a commit does not tell may be anybody's.
 */
function rejectOwners(
  deadLetter: TableMetadata,
  accounts: readonly Account[],
): (snapshotId: bigint) => FileOwner {
  const anyone: FileOwner = { accounts, commit: undefined };
  const owners = new Map<bigint, FileOwner>();
  for (const name of recordedPipelines(deadLetter)) {
    const own = accounts.filter(
      ({ pipeline, state }) => `${pipeline}.${state.log.topicId}` === name,
    );
    for (const commit of recordedCommits(deadLetter, name)) {
      owners.set(commit.snapshotId, { accounts: own, commit });
    }
  }
  return (snapshotId) => owners.get(snapshotId) ?? anyone;
}

function liveRows({ rowCount, isLive }: ScannedBlock): number {
  let live = 0;
  for (let row = 0; row < rowCount; row += 1) live += isLive(row) ? 1 : 0;
  return live;
}
