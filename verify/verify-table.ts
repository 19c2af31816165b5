import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { boundsDifference, checkFooter, failing, type Extent } from './file-claims.ts';
import { openAccounts, settleAccounts, type Account } from './offset-account.ts';
import { removalsOfOthers, total } from './recorded.ts';
import type { TableSource } from './reject-rows.ts';
import { openFindings, type Findings, type Report } from './report.ts';
import { readDeletes, scanRows, type FileSink } from './scan-rows.ts';
import type { LiveFile } from './table-files.ts';
import { openTaker, type FileOwner } from './take-offsets.ts';
import { takeRejects } from './take-rejects.ts';
import type { ViolationKind } from './violations.ts';

export type VerifyTableOptions = TableSource & {
  pipeline: string;
  /** Told after each block of rows. */
  onProgress?: (progress: ScanProgress) => void;
};

type ScanProgress = { rows: number; files: number; filesInAll: number };

/** What was found, for checks that go on from there. */
export type AccountedTable = { report: Report; accounts: readonly Account[] };

/**
 * Checks INVARIANTS.md 5 on the table itself: every offset from the first one taken up to the recorded
 * position is exactly one row, one reject or one counted filter, and a file has only rows that its commit
 * accounts for. Reads two columns of each live data file, several files at a time; memory is two bits for
 * each offset and some row groups. Rows deleted on purpose count as missing.
 * Errors: `config`, `corrupt`, those of the store.
 */
export async function verifyTable(options: VerifyTableOptions): Promise<Report> {
  return (await accountForTable(options)).report;
}

/** The same, with the accounts. */
export async function accountForTable(options: VerifyTableOptions): Promise<AccountedTable> {
  const accounts = openAccounts(options.events, options.pipeline);
  const findings = openFindings();
  const seen: Seen = { rows: 0, ownRows: 0, files: 0 };
  const scanning: Scanning = { options, accounts, findings, seen };
  const areRowsMixed = await takeRows(scanning);
  const rejects = await takeRejects({ ...options, accounts, findings });
  const isMixed = rejects.areMixed || areRowsMixed;
  settleAccounts(accounts, isMixed, findings);
  const ranges = accounts.flatMap(({ partitions }) => [...partitions.values()]);
  const report = {
    title: 'every offset is one row, one reject or one counted filter',
    facts: {
      offsets: ranges.reduce((sum, { range }) => sum + Number(range.end - range.start), 0),
      rows: seen.rows,
      rejects: rejects.taken,
      filtered: accounts.reduce((sum, { state }) => sum + total(state.filtered), 0),
      partitions: ranges.length,
      'commits checked one by one': isMixed
        ? 0
        : accounts.reduce((sum, { commits }) => sum + commits.length, 0),
      'rows checked against the range of their commit': seen.ownRows,
    },
    findings: findings.list(),
    notes: [
      ...notesOf(scanning, { isMixed, ofOthers: rejects.ofOthers }),
      ...(findings.list().some(({ kind }) => MISSING.has(kind)) ? removals(options) : []),
    ],
  };
  return { report, accounts };
}

/** What a removal by another writer may explain. */
const MISSING: ReadonlySet<string> = new Set<ViolationKind>([
  'missing offsets',
  'of these missing, by commit',
  'partitions whose rejects differ from the count',
]);

function removals({ events, deadLetter }: TableSource): string[] {
  const ofRejects = deadLetter === undefined ? [] : removalsOfOthers(deadLetter);
  return [
    ...removalsOfOthers(events).map((removal) => `events table: ${removal}`),
    ...ofRejects.map((removal) => `dead-letter table: ${removal}`),
  ];
}

type Seen = {
  rows: number;
  ownRows: number;
  files: number;
};

type Scanning = {
  options: VerifyTableOptions;
  accounts: readonly Account[];
  findings: Findings;
  seen: Seen;
};

function notesOf(
  { options, accounts }: Scanning,
  { isMixed, ofOthers }: { isMixed: boolean; ofOthers: number },
): string[] {
  const notes: string[] = [];
  if (ofOthers > 0) {
    notes.push(
      `${ofOthers} rejects of change topics and of other tables' pipelines are not checked: ` +
        'no commit of this table counts them',
    );
  }
  for (const { commits, pipeline } of accounts) {
    if (commits.length > 0) continue;
    notes.push(
      `all snapshots of ${pipeline} have expired: checked against the table property alone`,
    );
  }
  const others = accounts.map(({ pipeline }) => pipeline).filter((one) => one !== options.pipeline);
  if (others.length > 0) {
    const how = isMixed ? ' where the commit of a row has expired, they are judged together' : '';
    notes.push(`rows of ${others.join(', ')} are in this table too;${how || ' each is checked'}`);
  }
  return notes;
}

/** Tells whether there are rows that may be of several pipelines. */
async function takeRows(scanning: Scanning): Promise<boolean> {
  const { options, accounts } = scanning;
  const { events, store, listFiles } = options;
  const { files, deletes } = await listFiles(events);
  const commits = new Map(
    accounts.flatMap((account) =>
      account.commits.map(
        (commit) => [commit.snapshotId, { accounts: [account], commit }] as const,
      ),
    ),
  );
  const anyone: FileOwner = { accounts, commit: undefined };
  const ownerOf = ({ snapshotId }: LiveFile): FileOwner => commits.get(snapshotId) ?? anyone;
  const deleted = await readDeletes(store, deletes);
  const scan = (some: readonly LiveFile[]): Promise<void> =>
    scanRows({
      store,
      metadata: events,
      files: some,
      deleted,
      columns: ['_kafka_partition', '_kafka_offset'],
      sinkOf: (file) => rowSink(scanning, { file, owner: ownerOf(file), filesInAll: files.length }),
    });
  // What is known to be of one pipeline first: the others take the room that is left.
  const known = files.filter(({ snapshotId }) => commits.has(snapshotId));
  const unknown = files.filter(({ snapshotId }) => !commits.has(snapshotId));
  await scan(known);
  await scan(unknown);
  return accounts.length > 1 && unknown.length > 0;
}

function rowSink(
  { options, findings, seen }: Scanning,
  { file, owner, filesInAll }: { file: LiveFile; owner: FileOwner; filesInAll: number },
): FileSink {
  const take = openTaker({ as: 'rows', owner, findings, location: file.location });
  const tell = (): void => options.onProgress?.({ rows: seen.rows, files: seen.files, filesInAll });
  return {
    take(block) {
      const taken = take.block(block, () => owner.accounts);
      seen.rows += taken;
      if (owner.commit !== undefined) seen.ownRows += taken;
      tell();
    },
    end(rowCount) {
      seen.files += 1;
      checkFooter(file, rowCount, findings);
      checkBounds(options.events, { file, extents: take.extents, findings });
      tell();
    },
    fail: failing(file, findings),
  };
}

function checkBounds(
  metadata: TableMetadata,
  checked: { file: LiveFile; extents: ReadonlyMap<string, Extent>; findings: Findings },
): void {
  const { file, extents, findings } = checked;
  for (const [name, seen] of extents) {
    const difference = boundsDifference(metadata, file, { name, seen });
    if (difference === undefined) continue;
    findings.add('bounds that do not hold', () => `${file.location}: ${difference}`);
  }
}
