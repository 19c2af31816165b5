import type { DataFile } from '../manifest/data-file.ts';
import { partitionKey } from '../manifest/partition-key.ts';
import type { Snapshot } from '../spec/table-metadata.ts';

/** Totals that an append leaves as they were. */
const UNCHANGED_TOTALS = ['total-delete-files', 'total-position-deletes', 'total-equality-deletes'];

/**
 * The summary of an append: the caller's entries, what was added, and the totals carried on from the
 * parent. A total that the parent does not state stays unstated: a guess would be wrong for ever.
 * Source: Iceberg table spec, appendix F, "Optional Snapshot Summary Fields".
 */
export function appendSummary(options: {
  callersEntries: Readonly<Record<string, string>>;
  dataFiles: readonly DataFile[];
  parent: Snapshot | undefined;
}): Record<string, string> {
  const { callersEntries, dataFiles, parent } = options;
  const addedFiles = BigInt(dataFiles.length);
  const addedRecords = sum(dataFiles.map((file) => file.recordCount));
  const addedBytes = sum(dataFiles.map((file) => file.fileSizeBytes));
  return {
    ...callersEntries,
    operation: 'append',
    'added-data-files': String(addedFiles),
    'added-records': String(addedRecords),
    'added-files-size': String(addedBytes),
    'changed-partition-count': String(new Set(dataFiles.map(partitionKey)).size),
    ...total(parent, 'total-data-files', addedFiles),
    ...total(parent, 'total-records', addedRecords),
    ...total(parent, 'total-files-size', addedBytes),
    ...Object.assign({}, ...UNCHANGED_TOTALS.map((name) => total(parent, name, 0n))),
  };
}

function total(
  parent: Snapshot | undefined,
  name: string,
  added: bigint,
): Readonly<Record<string, string>> {
  const before = parent === undefined ? '0' : parent.summary[name];
  if (before === undefined || !/^\d+$/.test(before)) return {};
  return { [name]: String(BigInt(before) + added) };
}

function sum(counts: readonly bigint[]): bigint {
  return counts.reduce((left, right) => left + right, 0n);
}
