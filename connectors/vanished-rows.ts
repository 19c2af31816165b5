import { asBuffer, frameBytes, framingOf } from './framing.ts';

/** A stretch of one partition: `from` is included, `to` is not. */
export type LogRange = { topic: string; partition: number; from: bigint; to: bigint };

/** The key is valid during the call only. */
export type TakeRecord = (record: {
  key: Uint8Array | null;
  isTombstone: boolean;
  offset: bigint;
}) => void;

/** A topic's records as they stand in the log, without their values. Errors: `unavailable`. */
export interface ChangeLog {
  /** First offset and end of each partition. */
  bounds(topic: string): Promise<ReadonlyMap<number, { startOffset: bigint; endOffset: bigint }>>;
  read(range: LogRange, take: TakeRecord): Promise<void>;
}

/** A record that speaks of a row which is gone. */
export type VanishedRow = { topic: string; partition: number; key: Buffer };

/** Where the reading of a table began in its topic, and where the topic ended after it. */
export type ReadTable = {
  topic: string;
  before: ReadonlyMap<number, bigint>;
  after: ReadonlyMap<number, bigint>;
};

/**
 * The rows whose newest record in a partition lies below `before` and is no tombstone: a reading of the whole
 * table has told nothing of them since, so they are not in the table. A row is present under any form of its key
 * that differs in the schema id alone.
 *
 * Keys are compared as they are (INVARIANTS.md 13); the hash only deals them out to passes of `keysAtOnceMax`
 * records, each of which reads the partition once. Memory: about 100 bytes and the key for each row of a pass.
 */
export async function* findVanished(
  log: ChangeLog,
  { topic, before, after }: ReadTable,
  keysAtOnceMax: number,
): AsyncIterable<VanishedRow[]> {
  for (const [partition, { startOffset }] of await log.bounds(topic)) {
    const to = after.get(partition) ?? startOffset;
    const seenFrom = before.get(partition) ?? to;
    if (seenFrom <= startOffset) continue;
    const passes = Math.ceil(Number(to - startOffset) / keysAtOnceMax);
    for (let pass = 0; pass < passes; pass++) {
      const isOfPass = (body: Buffer): boolean => hashOf(body) % passes === pass;
      const present = new Set<string>();
      await log.read({ topic, partition, from: seenFrom, to }, ({ key }) => {
        const body = key === null ? undefined : bodyOf(key);
        if (body !== undefined && isOfPass(body)) present.add(body.toString('latin1'));
      });
      const vanished = new Set<string>();
      const earlier = { topic, partition, from: startOffset, to: seenFrom };
      await log.read(earlier, ({ key, isTombstone }) => {
        const body = key === null ? undefined : bodyOf(key);
        if (key === null || body === undefined || !isOfPass(body)) return;
        const whole = asBuffer(key).toString('latin1');
        if (isTombstone || present.has(body.toString('latin1'))) vanished.delete(whole);
        else vanished.add(whole);
      });
      const rows = [...vanished].map((whole) => Buffer.from(whole, 'latin1'));
      if (rows.length > 0) yield rows.map((key) => ({ topic, partition, key }));
    }
  }
}

/** Those of the rows of which no partition tells anything in the ranges, in whatever form of the key. */
export async function withoutPresent(
  log: ChangeLog,
  rows: readonly VanishedRow[],
  ranges: readonly LogRange[],
): Promise<readonly VanishedRow[]> {
  const wanted = new Set(rows.map(({ topic, key }) => nameOf(topic, key)));
  const present = new Set<string>();
  for (const range of ranges) {
    await log.read(range, ({ key }) => {
      if (key === null) return;
      const name = nameOf(range.topic, key);
      if (wanted.has(name)) present.add(name);
    });
  }
  return rows.filter(({ topic, key }) => !present.has(nameOf(topic, key)));
}

function nameOf(topic: string, key: Uint8Array): string {
  return `${topic}/${bodyOf(key).toString('latin1')}`;
}

/** The key without the schema id, which may change while the key does not. */
function bodyOf(key: Uint8Array): Buffer {
  const bytes = asBuffer(key);
  return framingOf(bytes).kind === 'avro' ? bytes.subarray(frameBytes) : bytes;
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
