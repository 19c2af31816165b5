import type { PlainChange } from '../../connectors/read-plain-change.ts';
import {
  INT_SLOT,
  LONG_SLOT,
  NULL_SLOT,
  TEXT_SLOT,
  type RowSlots,
} from '../../connectors/row-slots.ts';
import type { ByteWriter } from './byte-writer.ts';
import { ValueRefused, valueBytesMax } from './column-codec.ts';
import type { ColumnCodec } from './column-codec.ts';
import type { DimensionShape } from './dimension-shape.ts';
import type { PendingRow } from './fold-changes.ts';
import { normaliseKey } from './normalise.ts';
import { hashBytes } from './row-keys.ts';
import { RowView, writeNull, writeWordsHeader } from './state-row.ts';
import { BYTES_KEY, INTEGER_KEY } from './store-key.ts';

const FIRST_CAPACITY = 16;

/** Where in a record's partition a change stands. */
type Place = { offset: number; timestampMs: number };

/** All that there is to fold for a row that stands already. */
const none: PendingRow['changes'] = [];

/** A store key: `bytes[start .. end)`. */
type KeySlice = { bytes: Uint8Array; start: number; end: number };

/**
 * Store keys and state rows as plain changes make them where the store holds no row, one behind the other in a writer;
 * no object exists for any until `rows`.
 */
export class RowImages {
  readonly #writer: ByteWriter;
  readonly #shape: DimensionShape;
  readonly #partition: number;
  #count = 0;
  /** Of image i: its store key from `keyStarts[i]` up to `rowStarts[i]`, then its row up to `rowEnds[i]`. */
  #keyStarts = new Int32Array(FIRST_CAPACITY);
  #rowStarts = new Int32Array(FIRST_CAPACITY);
  #rowEnds = new Int32Array(FIRST_CAPACITY);
  #offsets = new Float64Array(FIRST_CAPACITY);
  /** Low and high words. */
  #positions = new Int32Array(2 * FIRST_CAPACITY);
  /** The columns that slots were found for. */
  #keyNames: readonly string[] = [];
  #keySlot = -1;
  #rowNames: readonly string[] = [];
  #joinSlot = -1;
  #columnSlots: readonly number[] = [];

  constructor(
    shape: DimensionShape,
    { partition, writer }: { partition: number; writer: ByteWriter },
  ) {
    this.#shape = shape;
    this.#partition = partition;
    this.#writer = writer;
  }

  /** False where the state does not take the change as it is; `fold-changes.ts` is to judge it then. */
  add(change: PlainChange, place: Place): boolean {
    const writer = this.#writer;
    const start = writer.length;
    this.#findSlots(change);
    try {
      this.#writeKey(change.key);
      const rowStart = writer.length;
      this.#writeRow(change, place, start);
      this.#keep(change, place.offset, start, rowStart);
      return true;
    } catch (error) {
      if (!(error instanceof ValueRefused)) throw error;
      writer.length = start;
      return false;
    }
  }

  offset(index: number): bigint {
    return BigInt(this.#offsets[index] as number);
  }

  sourcePosition(index: number): bigint {
    const low = this.#positions[2 * index] as number;
    const high = this.#positions[2 * index + 1] as number;
    return (BigInt(high) << 32n) | BigInt(low >>> 0);
  }

  /** The images, as rows that have changed. */
  rows(): PendingRow[] {
    const { bytes } = this.#writer;
    const { rowPrefix, indexed } = this.#shape;
    const view = new RowView();
    return Array.from({ length: this.#count }, (_, index) => {
      const start = this.#rowStarts[index] as number;
      const end = this.#rowEnds[index] as number;
      return {
        storeKey: bytes.subarray(this.#keyStarts[index], start),
        primaryKeyStart: rowPrefix.length,
        changes: none,
        stored: undefined,
        start,
        end,
        deleted: false,
        joinKey: indexed ? view.read(bytes, start, end).joinKey() : undefined,
      };
    });
  }

  /** Indexes of images that share their key with another, or with one of these. */
  shared(storeKeys: Iterable<Uint8Array>): ReadonlySet<number> {
    const shared = new Set<number>();
    const table = new Int32Array(2 ** Math.ceil(Math.log2(this.#count * 2 + 1)));
    for (let index = 0; index < this.#count; index++) {
      const { bytes } = this.#writer;
      const end = this.#rowStarts[index] as number;
      const at = this.#seek(table, { bytes, start: this.#keyStarts[index] as number, end });
      const first = (table[at] as number) - 1;
      if (first < 0) table[at] = index + 1;
      else shared.add(first).add(index);
    }
    for (const bytes of storeKeys) {
      const found =
        (table[this.#seek(table, { bytes, start: 0, end: bytes.length })] as number) - 1;
      if (found >= 0) shared.add(found);
    }
    return shared;
  }

  /** The place in a table of images where that of a key stands, or would. */
  #seek(table: Int32Array, key: KeySlice): number {
    const mask = table.length - 1;
    const { bytes, start, end } = key;
    const prefix = this.#shape.rowPrefix.length;
    let at = hashBytes(bytes, start + prefix, end - start - prefix) & mask;
    for (; ; at = (at + 1) & mask) {
      const index = (table[at] as number) - 1;
      if (index < 0 || this.#hasKey(index, key)) return at;
    }
  }

  #hasKey(index: number, { bytes, start, end }: KeySlice): boolean {
    const own = this.#keyStarts[index] as number;
    if ((this.#rowStarts[index] as number) - own !== end - start) return false;
    const { bytes: images } = this.#writer;
    for (let at = start; at < end; at++) if (images[own + at - start] !== bytes[at]) return false;
    return true;
  }

  #findSlots({ key, after }: PlainChange): void {
    const { primaryKey, joinKey, columns } = this.#shape.definition;
    if (key.names !== this.#keyNames) {
      this.#keyNames = key.names;
      this.#keySlot = key.names.indexOf(primaryKey);
    }
    if (after.names === this.#rowNames) return;
    this.#rowNames = after.names;
    this.#joinSlot = after.names.indexOf(joinKey);
    this.#columnSlots = columns.map(({ name }) => after.names.indexOf(name));
  }

  #writeKey(key: RowSlots): void {
    const writer = this.#writer;
    const { rowPrefix, definition, keyKind } = this.#shape;
    const { primaryKey, joinKey, joinKeyType } = definition;
    const slot = this.#keySlot;
    const kind = key.kinds[slot];
    const isInteger = kind === INT_SLOT || kind === LONG_SLOT;
    writer.raw(rowPrefix, 0, rowPrefix.length);
    if (isInteger && (primaryKey !== joinKey || keyKind === 'int64')) {
      const low = key.low[slot] as number;
      writer.uint8(INTEGER_KEY);
      writer.orderedWords(low, kind === INT_SLOT ? low >> 31 : (key.high[slot] as number));
    } else if (kind === TEXT_SLOT && (primaryKey !== joinKey || joinKeyType === 'string')) {
      writer.uint8(BYTES_KEY);
      writer.raw(key.bytes, key.low[slot] as number, key.high[slot] as number);
    } else {
      this.#shape.writePrimaryKey(writer, key.value(slot));
    }
  }

  #writeRow({ after, positionLow, positionHigh }: PlainChange, place: Place, keyStart: number) {
    const writer = this.#writer;
    const { layout, codecs } = this.#shape;
    const partition = this.#partition;
    const joinKey = this.#joinKey(after, keyStart);
    writeWordsHeader(writer, { layout, positionLow, positionHigh, partition, ...place, joinKey });
    for (let column = 0; column < codecs.length; column++) {
      const slot = this.#columnSlots[column] as number;
      writeColumn(writer, codecs[column] as ColumnCodec, after, slot);
    }
  }

  #joinKey(after: RowSlots, keyStart: number): Uint8Array | undefined {
    const { indexed, definition, rowPrefix } = this.#shape;
    if (!indexed) return undefined;
    const { joinKey, primaryKey, joinKeyType, normaliser } = definition;
    if (joinKey === primaryKey) {
      const start = keyStart + rowPrefix.length + 1;
      return normaliseKey(normaliser, this.#writer.bytes.slice(start, this.#writer.length));
    }
    const slot = this.#joinSlot;
    const kind = after.kinds[slot] ?? NULL_SLOT;
    if (kind === NULL_SLOT) return undefined;
    if (kind !== TEXT_SLOT || joinKeyType !== 'string') {
      return this.#shape.joinKeyOf(after.value(slot));
    }
    const start = after.low[slot] as number;
    return normaliseKey(normaliser, after.bytes.subarray(start, start + (after.high[slot] ?? 0)));
  }

  #keep(change: PlainChange, offset: number, keyStart: number, rowStart: number): void {
    const index = this.#count++;
    if (index === this.#keyStarts.length) this.#grow();
    this.#keyStarts[index] = keyStart;
    this.#rowStarts[index] = rowStart;
    this.#rowEnds[index] = this.#writer.length;
    this.#offsets[index] = offset;
    this.#positions[2 * index] = change.positionLow;
    this.#positions[2 * index + 1] = change.positionHigh;
  }

  #grow(): void {
    const capacity = this.#count * 2;
    this.#keyStarts = grown(this.#keyStarts, new Int32Array(capacity));
    this.#rowStarts = grown(this.#rowStarts, new Int32Array(capacity));
    this.#rowEnds = grown(this.#rowEnds, new Int32Array(capacity));
    this.#offsets = grown(this.#offsets, new Float64Array(capacity));
    this.#positions = grown(this.#positions, new Int32Array(capacity * 2));
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** The very bytes that the codec writes for the slot's value, mostly without making that. */
function writeColumn(writer: ByteWriter, codec: ColumnCodec, row: RowSlots, slot: number): void {
  const kind = row.kinds[slot] ?? NULL_SLOT;
  const { type } = codec;
  const low = row.low[slot] as number;
  const high = row.high[slot] as number;
  if (kind === NULL_SLOT) writeNull(writer);
  else if (kind === TEXT_SLOT && type === 'string' && high <= valueBytesMax) {
    writer.varint(high + 1);
    writer.raw(row.bytes, low, high);
  } else if (kind === INT_SLOT && (type === 'int' || type === 'date')) {
    writer.varint(5);
    writer.int32(low);
  } else codec.write(writer, row.value(slot));
}
