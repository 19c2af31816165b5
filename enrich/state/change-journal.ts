import { EnrichError } from '../error.ts';
import { ByteWriter } from './byte-writer.ts';
import { ContentSum } from './content-sum.ts';
import type { KeyValueStore, StoreWrite } from './key-value-store.ts';
import { journalKey, journalRange } from './store-key.ts';

const removedAtOnceMax = 2_000;

/** A row that has changed: its primary key, and the hash of it as it was then (`ContentSum.add`). */
type JournalRow = { primaryKey: Uint8Array; hash: number };

/** What a batch has changed: rows, and join keys whose answer may be another, where the dimension has an index. */
export type JournalEntry = { rows: readonly JournalRow[]; joinKeys: readonly Uint8Array[] };

/** All entries since an image was made: each row with its last hash, each join key once. */
export type Journal = { rows: JournalRow[]; joinKeys: Uint8Array[] };

/**
 * What the record of a dimension knows of the image of its projection: its id, how many keys have changed since it
 * was made, and what the journal entries that name them add up to.
 */
export type ImageMark = { id: string; keys: number; journal: ContentSum };

/** The entry of one more batch, and the mark that counts it; both enter the store in that batch. */
export function addEntry(
  dimension: string,
  mark: ImageMark,
  entry: JournalEntry,
): { write: StoreWrite; mark: ImageMark } {
  const journal = mark.journal.copy();
  const write = { key: journalKey(dimension, mark.id, journal.rows), value: encodeEntry(entry) };
  journal.add(write.key, write.value);
  const keys = mark.keys + entry.rows.length + entry.joinKeys.length;
  return { write, mark: { id: mark.id, keys, journal } };
}

/** Reads the journal of an image. Errors: `rebuild` where entries are missing, or are not what was written. */
export async function readJournal(
  store: KeyValueStore,
  dimension: string,
  mark: ImageMark,
): Promise<Journal> {
  const found = new ContentSum();
  const rows = new Map<string, JournalRow>();
  const joinKeys = new Map<string, Uint8Array>();
  for await (const { key, value } of store.scan(journalRange(dimension, mark.id))) {
    found.add(key, value);
    const entry = decodeEntry(value);
    for (const row of entry.rows) rows.set(textOf(row.primaryKey), row);
    for (const joinKey of entry.joinKeys) joinKeys.set(textOf(joinKey), joinKey);
  }
  if (!found.equals(mark.journal)) {
    throw new EnrichError(
      'rebuild',
      `dimension ${dimension}: the journal must hold ${mark.journal.rows} batches and holds ${found.rows}, or others`,
    );
  }
  return { rows: [...rows.values()], joinKeys: [...joinKeys.values()] };
}

/** Removes the journals of all images of the dimension but this one. */
export async function removeOtherJournals(
  store: KeyValueStore,
  dimension: string,
  keptId: string | undefined,
): Promise<void> {
  const all = journalRange(dimension);
  const kept = keptId === undefined ? undefined : journalRange(dimension, keptId);
  const others =
    kept === undefined
      ? [all]
      : [
          { from: all.from, to: kept.from },
          { from: kept.to, to: all.to },
        ];
  for (const range of others) {
    for (;;) {
      const removals: StoreWrite[] = [];
      for await (const { key } of store.scan({ ...range, limit: removedAtOnceMax })) {
        removals.push({ key, value: undefined });
      }
      if (removals.length === 0) break;
      await store.applyBatch(removals);
    }
  }
}

/** Varint count, then length, bytes and hash of each row; varint count, then length and bytes of each join key. */
function encodeEntry({ rows, joinKeys }: JournalEntry): Uint8Array {
  const writer = new ByteWriter(16 + rows.length * 16);
  writer.varint(rows.length);
  for (const { primaryKey, hash } of rows) {
    writer.varint(primaryKey.length);
    writer.raw(primaryKey, 0, primaryKey.length);
    writer.int32(hash | 0);
  }
  writer.varint(joinKeys.length);
  for (const joinKey of joinKeys) {
    writer.varint(joinKey.length);
    writer.raw(joinKey, 0, joinKey.length);
  }
  return writer.bytes.subarray(0, writer.length);
}

function decodeEntry(bytes: Uint8Array): JournalEntry {
  let at = 0;
  const take = (length: number): Uint8Array => {
    at += length;
    if (at > bytes.length) throw damaged();
    return bytes.subarray(at - length, at);
  };
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = take(1)[0] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw damaged();
  };
  const rows = Array.from({ length: varint() }, () => {
    const primaryKey = take(varint());
    const [a = 0, b = 0, c = 0, d = 0] = take(4);
    return { primaryKey, hash: (a | (b << 8) | (c << 16) | (d << 24)) >>> 0 };
  });
  const joinKeys = Array.from({ length: varint() }, () => take(varint()));
  return { rows, joinKeys };
}

function damaged(): EnrichError {
  return new EnrichError('rebuild', 'a journal of the state cannot be read');
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
