/** The fields of `source` that a change needs, as decoded. */
export type SourceBlock = Readonly<
  Partial<Record<'snapshot' | 'lsn' | 'file' | 'pos' | 'row', unknown>>
>;

/** What a codec decodes of `source`; the rest is stepped over. */
export const sourceFields = ['snapshot', 'lsn', 'file', 'pos', 'row'] as const;

/** Stands for a row that an incremental snapshot read: no change of a log has this position. */
export const incrementalRead = 0n;

const rowMax = 0x7ffn;
const fileMax = 1n << 20n;

/**
 * Where in the source's log a change stands, as one number that grows along the log and fits 63 bits;
 * undefined where the source block tells none.
 *
 *   PostgreSQL      the LSN
 *   MySQL, MariaDB  file number << 43 | position in the file << 11 | row of the event, 2047 at most
 *
 * A row that an incremental snapshot reads has no position in the log: it counts by its place in the topic,
 * where Debezium puts it after all changes that it holds and before all that it does not. The position of
 * the moment would be too high: a transaction that was open at that moment has written its changes before
 * it and commits them after it.
 *
 * Rows of one binlog event beyond the 2048th share a number; an event changes a row once.
 */
export function sourcePositionOf(source: SourceBlock): bigint | undefined {
  if (source.snapshot === 'incremental') return incrementalRead;
  const lsn = toBigInt(source.lsn);
  if (lsn !== undefined) return lsn;
  const pos = toBigInt(source.pos);
  const file = /\.(\d+)$/.exec(typeof source.file === 'string' ? source.file : '')?.[1];
  if (pos === undefined || file === undefined) return undefined;
  const fileNumber = BigInt(file);
  if (fileNumber >= fileMax || pos < 0n || pos > 0xffff_ffffn) return undefined;
  const row = toBigInt(source.row) ?? 0n;
  return (fileNumber << 43n) | (pos << 11n) | (row > rowMax ? rowMax : row);
}

function toBigInt(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined;
}
