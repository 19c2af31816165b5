import { EnrichError } from '../error.ts';
import { ByteWriter } from './byte-writer.ts';
import { ValueRefused, canonicalValue, columnCodec, int64Of, uuidOf } from './column-codec.ts';
import type { ColumnCodec } from './column-codec.ts';
import { lacksColumns } from './dimension-record.ts';
import type { DimensionDefinition, DimensionRecord, StateColumn } from './dimension-record.ts';
import { createProjection } from './hash-projection.ts';
import type { ColumnSlices, KeyKind, MutableProjection } from './hash-projection.ts';
import { normaliseKey } from './normalise.ts';
import { RowView, writeNull, writeRowHeader, writeSlice } from './state-row.ts';
import { BYTES_KEY, INTEGER_KEY, joinKeyEntry, rowPrefix } from './store-key.ts';

/** How rows of one layout become rows of the columns in use. */
type LayoutMap = {
  columns: readonly StateColumn[];
  /** Place of each column in use, -1 where the layout lacks it. */
  places: readonly number[];
  /** Whether a column in use is missing or has another type. */
  lacks: boolean;
};

/** Everything about a dimension that does not change while it is open. */
export class DimensionShape {
  readonly definition: DimensionDefinition;
  readonly keyKind: KeyKind;
  /**
   * Whether several rows may have one join key. Then the store keeps an index of join keys; else the
   * primary key is the join key, and the projection tells which rows are live.
   */
  readonly indexed: boolean;
  readonly rowPrefix: Uint8Array;
  readonly codecs: readonly ColumnCodec[];
  readonly layout: number;
  readonly #maps: readonly LayoutMap[];
  readonly #scratch = new ByteWriter(1024);
  readonly #scratchView = new RowView();

  constructor(definition: DimensionDefinition, record: DimensionRecord) {
    this.definition = definition;
    this.keyKind = keyKindOf(definition);
    this.indexed = definition.joinKey !== definition.primaryKey || definition.normaliser !== 'none';
    this.rowPrefix = rowPrefix(definition.name);
    this.codecs = definition.columns.map(({ type }) => columnCodec(type));
    this.layout = record.layout;
    this.#maps = record.layouts.map((columns) => ({
      columns,
      places: definition.columns.map(({ name }) => columns.findIndex((c) => c.name === name)),
      lacks: lacksColumns(columns, definition.columns),
    }));
  }

  /** A projection without rows. */
  emptyProjection(): MutableProjection {
    const columns = this.definition.columns.map(({ type }) => type);
    return createProjection({ keyKind: this.keyKind, columns });
  }

  /** The bytes of a primary key that is the join key too: what follows its kind. */
  primaryKeySlice(storeKey: Uint8Array): { bytes: Uint8Array; start: number; length: number } {
    const start = this.rowPrefix.length + 1;
    return { bytes: storeKey, start, length: storeKey.length - start };
  }

  /** The key of a row's entry in the index of join keys. */
  joinKeyEntry(storeKey: Uint8Array, joinKey: Uint8Array): Uint8Array {
    const primaryKey = storeKey.subarray(this.rowPrefix.length);
    return joinKeyEntry(this.definition.name, joinKey, primaryKey);
  }

  /** Writes a primary key as it stands at the end of the store keys. Throws `ValueRefused`. */
  writePrimaryKey(writer: ByteWriter, value: unknown): void {
    const { primaryKey, joinKey } = this.definition;
    if (primaryKey === joinKey) {
      writer.uint8(this.keyKind === 'int64' ? INTEGER_KEY : BYTES_KEY);
      this.writeJoinKey(writer, value);
      return;
    }
    if (typeof value === 'string') {
      writer.uint8(BYTES_KEY);
      writer.text(value);
      return;
    }
    const integer = int64Of('long', value);
    writer.uint8(INTEGER_KEY);
    writer.orderedInt64(integer);
  }

  /** Writes a join key before normalisation. Throws `ValueRefused`. */
  writeJoinKey(writer: ByteWriter, value: unknown): void {
    const { joinKeyType } = this.definition;
    if (this.keyKind === 'int64') {
      writer.orderedInt64(int64Of(joinKeyType, value));
      return;
    }
    if (joinKeyType === 'uuid') {
      writer.raw(uuidOf(value), 0, 16);
      return;
    }
    if (typeof value !== 'string') throw new ValueRefused(`a ${typeof value} is no ${joinKeyType}`);
    writer.text(value);
  }

  /** The join key of a value in its one form. Throws `ValueRefused`. */
  joinKeyOf(value: unknown): Uint8Array {
    const writer = new ByteWriter(64);
    this.writeJoinKey(writer, value);
    return normaliseKey(this.definition.normaliser, writer.bytes.slice(0, writer.length));
  }

  /** Whether the row lacks a column that is in use now, so that its own change tells more than it does. */
  lacksColumns(row: RowView): boolean {
    return this.#mapOf(row).lacks;
  }

  /** Writes the value that a row has for a column in use; false where the row does not know it. */
  copyColumn(writer: ByteWriter, row: RowView, index: number): boolean {
    const { columns, places } = this.#mapOf(row);
    const place = places[index] ?? -1;
    const stored = columns[place];
    const codec = this.codecs[index];
    if (stored === undefined || codec === undefined) {
      writeNull(writer);
      return false;
    }
    const length = row.lengths[place] as number;
    if (stored.type === codec.type || length < 0) {
      writeSlice(writer, row, place);
      return true;
    }
    const start = row.starts[place] as number;
    const value = columnCodec(stored.type).read(row.bytes.slice(start, start + length));
    return tryWrite(writer, codec, canonicalValue(stored.type, value));
  }

  /** The row's values for the columns in use; valid until the next call. */
  columnsInUse(row: RowView): ColumnSlices {
    if (row.layout === this.layout) return this.#assertColumns(row);
    const writer = this.#scratch;
    writer.length = 0;
    const { deleted, byPlace, sourcePosition, partition, offset, timestampMs } = row;
    const place = { byPlace, sourcePosition, partition, offset, timestampMs };
    writeRowHeader(writer, { ...place, deleted, layout: this.layout, joinKey: undefined });
    for (let index = 0; index < this.codecs.length; index++) this.copyColumn(writer, row, index);
    return this.#scratchView.read(writer.bytes, 0, writer.length);
  }

  #assertColumns(row: RowView): RowView {
    if (row.columnCount !== this.codecs.length) {
      throw corrupt(`${row.columnCount} columns instead of ${this.codecs.length}`);
    }
    return row;
  }

  #mapOf(row: RowView): LayoutMap {
    const map = this.#maps[row.layout];
    if (map === undefined) throw corrupt(`unknown layout ${row.layout}`);
    return map;
  }
}

function tryWrite(writer: ByteWriter, codec: ColumnCodec, value: unknown): boolean {
  const start = writer.length;
  try {
    codec.write(writer, value);
    return true;
  } catch (error) {
    if (!(error instanceof ValueRefused)) throw error;
    writer.length = start;
    writeNull(writer);
    return false;
  }
}

function keyKindOf({ name, joinKey, joinKeyType }: DimensionDefinition): KeyKind {
  if (joinKeyType === 'long' || joinKeyType === 'int') return 'int64';
  if (joinKeyType === 'string' || joinKeyType === 'uuid') return 'bytes';
  throw new EnrichError(
    'config',
    `dimension ${name}: clicks cannot join on "${joinKey}" of type ${joinKeyType}; ` +
      'it must be a long, int, string or uuid',
  );
}

function corrupt(what: string): EnrichError {
  return new EnrichError('rebuild', `a row of the state cannot be read: ${what}`);
}
