import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';

/**
 * A value of a table as its rows are compared: longs, times (µs), timestamps (µs) and decimals
 * (unscaled) are bigints; ints and dates (days) are numbers.
 */
export type Cell = string | number | bigint | boolean | Uint8Array | null;

/** Some live rows of one data file: deleted rows are left out. */
export type RowBlock = {
  location: string;
  /** The snapshot that added the file; undefined for a file that no snapshot lists. */
  snapshotId: bigint | undefined;
  rowCount: number;
  /** Values of a column that was asked for; nulls where the file lacks it. */
  column(name: string): readonly Cell[];
};

/** Reads the live rows of the table's current snapshot, file by file, only the named columns. */
export type ReadRows = (
  metadata: TableMetadata,
  columns: readonly string[],
) => AsyncIterable<RowBlock>;

/** The same for data files of the table by name, whether a snapshot lists them or not. */
export type ReadFiles = (
  metadata: TableMetadata,
  locations: readonly string[],
  columns: readonly string[],
) => AsyncIterable<RowBlock>;

/** The value of a column that is never null. */
export function bigintAt(cells: readonly Cell[], row: number): bigint {
  const cell = cells[row];
  if (typeof cell === 'bigint') return cell;
  if (typeof cell === 'number') return BigInt(cell);
  throw new TypeError(`row ${row}: expected a whole number, got ${String(cell)}`);
}

/** The same for whole numbers below 2^53. */
export function numberAt(cells: readonly Cell[], row: number): number {
  return Number(bigintAt(cells, row));
}
