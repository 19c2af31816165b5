import type { DataFile } from './data-file.ts';

/** Text that two files share exactly when they lie in the same partition of the same spec. */
export function partitionKey(file: Pick<DataFile, 'specId' | 'partitionTuple'>): string {
  const values = file.partitionTuple.map((value) =>
    value instanceof Uint8Array
      ? `bytes ${Buffer.from(value).toString('hex')}`
      : `${typeof value} ${String(value)}`,
  );
  return JSON.stringify([file.specId, ...values]);
}
