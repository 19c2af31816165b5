import type {
  Column,
  ColumnBatch,
  DictionaryValues,
} from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import { renumberCodes } from '@iceberg-js/rest-client-shim/parquet/renumber-codes.ts';
import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { BufferColumn, NestedColumn, RowBuffer } from '../../schemas/row-buffer.ts';
import { EnrichError } from '../error.ts';
import { normaliseSlices } from '../state/normalise.ts';
import type { NormaliserName } from '../config/pipeline-config.ts';
import type { DictionaryView, Projection } from '../state/projection.ts';
import type { ClickBatch } from './click-batch.ts';
import { dictionaryColumn } from './dictionary-column.ts';

/** A dimension as the join sees it: what to look up, where, and which columns to carry. */
type JoinDimension = {
  name: string;
  streamField: string;
  normaliser: NormaliserName;
  projection: Projection;
  /** In the order of the projection's columns. */
  columns: readonly TableColumn[];
  matchFieldId: number;
};

/** Field id and type of a column, as the table has them. */
export type TableColumn = { id: number; type: IcebergType };

export type JoinTarget = {
  /** The columns of the stream's fields and of the bookkeeping, by name. Fields without one are left out. */
  columns: ReadonlyMap<string, TableColumn>;
  dimensions: readonly JoinDimension[];
};

export type JoinResult = {
  batch: ColumnBatch;
  /** Rows that found a dimension row, by dimension. */
  hits: ReadonlyMap<string, number>;
};

/**
 * Bytes of distinct carried values in one batch, all columns together. Codes are 4 bytes a row, so this is
 * what bounds the memory of a join, and it keeps each column far below the 2 GiB that 32-bit offsets reach.
 * At 500,000 rows it leaves 1 KiB of values of its own to each row.
 */
export const CARRIED_BYTES_MAX = 512 * 1024 ** 2;

const HIT = 0;
const MISS = 1;
/** `hit` and `miss`, under those codes. */
const MATCH_VALUES: DictionaryValues = {
  size: 2,
  values: {
    kind: 'bytes',
    slices: { bytes: new TextEncoder().encode('hitmiss'), offsets: Int32Array.of(0, 3, 7) },
    valid: undefined,
  },
};

/**
 * Left-joins every row of the batch to each dimension and gives the table's columns. Synchronous, so that
 * all rows see one and the same state. The result views the batch's memory: use it before clearing.
 * Errors: `config` where the distinct carried values of the batch are longer than `carriedBytesMax`.
 */
export function joinBatch(
  clicks: ClickBatch,
  target: JoinTarget,
  ingestedAtMs: number,
  carriedBytesMax: number = CARRIED_BYTES_MAX,
): JoinResult {
  const rowCount = clicks.rows.rowCount;
  const columns = new Map<number, Column>();
  for (const column of clicks.rows.columns) {
    const wanted = target.columns.get(column.name);
    if (wanted !== undefined) columns.set(wanted.id, streamColumn(column, rowCount, wanted.type));
  }
  columns.set(idOf(target, '_kafka_partition'), {
    kind: 'int32',
    values: clicks.partitions.subarray(0, rowCount),
    valid: undefined,
  });
  columns.set(idOf(target, '_kafka_offset'), {
    kind: 'int64',
    values: asInt64(clicks.offsetWords, rowCount),
    valid: undefined,
  });
  columns.set(idOf(target, '_ingested_at'), constantTimestamp(ingestedAtMs, rowCount));
  const hits = new Map<string, number>();
  const slots = new Int32Array(rowCount);
  const budget: Budget = { bytesMax: carriedBytesMax, bytes: 0, rowCount };
  for (const dimension of target.dimensions) {
    const { name, projection } = dimension;
    const sequence = projection.sequence();
    try {
      probe(dimension, clicks.rows, slots);
      hits.set(name, carry(dimension, slots, { columns, budget }));
    } finally {
      // Also after an error: what is half one thing and half another may be anything.
      assertUnchanged(name, sequence, projection.sequence());
    }
  }
  return { batch: { rowCount, columns }, hits };
}

/** Whoever joins keeps changes out meanwhile; else a row could be half of one and half of another. */
function assertUnchanged(dimension: string, before: number, after: number): void {
  if (before % 2 === 0 && before === after) return;
  throw new TypeError(
    `assert: dimension ${dimension} must not change during a join, its sequence went from ${before} to ${after}`,
  );
}

function idOf(target: JoinTarget, name: string): number {
  const column = target.columns.get(name);
  if (column === undefined) throw new EnrichError('config', `the table has no column "${name}"`);
  return column.id;
}

/**
 * The buffered column over the rows it holds, as a view where it is of the table's width. It is not where the table was
 * widened by others, or where no row is wider yet than the table: what does not change is exact.
 */
function streamColumn(column: BufferColumn, rowCount: number, type: IcebergType): Column {
  const valid = column.valid.subarray(0, rowCount);
  switch (column.kind) {
    case 'struct':
    case 'list':
    case 'map':
      return nestedColumn(column, rowCount, type);
    case 'int32':
      if (type === 'long') {
        const wide = BigInt64Array.from(column.values.subarray(0, rowCount), BigInt);
        return { kind: 'int64', values: wide, valid };
      }
      return { kind: 'int32', values: column.values.subarray(0, rowCount), valid };
    case 'int64':
      if (type === 'int') {
        const narrow = narrowed(column, rowCount);
        return { kind: 'int32', values: narrow, valid };
      }
      return { kind: 'int64', values: asInt64(column.words, rowCount), valid };
    case 'float32':
      if (type === 'double') {
        const wide = Float64Array.from(column.values.subarray(0, rowCount));
        return { kind: 'float64', values: wide, valid };
      }
      return { kind: 'float32', values: column.values.subarray(0, rowCount), valid };
    case 'float64':
      if (type === 'float') {
        const narrow = Float32Array.from(column.values.subarray(0, rowCount));
        return { kind: 'float32', values: narrow, valid };
      }
      return { kind: 'float64', values: column.values.subarray(0, rowCount), valid };
    case 'boolean':
      return { kind: 'boolean', values: column.values.subarray(0, rowCount), valid };
    case 'bytes':
      return {
        kind: 'bytes',
        slices: { bytes: column.bytes, offsets: column.offsets.subarray(0, rowCount + 1) },
        valid,
      };
  }
}

/** Values that were written as 32 bits, in a column that has room for 64 by now. */
function narrowed(
  { name, words, valid }: Extract<BufferColumn, { kind: 'int64' }>,
  rowCount: number,
): Int32Array {
  const values = new Int32Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    const low = words[2 * row] as number;
    if (valid[row] === 1 && words[2 * row + 1] !== low >> 31) {
      throw new Error(
        `assert: column ${name} is an int of the table, and row ${row} has more bits`,
      );
    }
    values[row] = low;
  }
  return values;
}

/** What a column is made of goes by the ids of the table's type; fields that it lacks are left out. */
function nestedColumn(column: NestedColumn, rowCount: number, type: IcebergType): Column {
  const valid = column.valid.subarray(0, rowCount);
  if (column.kind === 'struct' && isNested(type, 'struct')) {
    const byName = new Map(type.fields.map((field) => [field.name, field]));
    const fields = column.fields.flatMap((child) => {
      const field = byName.get(child.name);
      return field === undefined
        ? []
        : [[field.id, streamColumn(child, rowCount, field.type)] as const];
    });
    return { kind: 'struct', fields: new Map(fields), valid };
  }
  if (column.kind === 'list' && isNested(type, 'list')) {
    const offsets = column.offsets.subarray(0, rowCount + 1);
    const element = streamColumn(column.element, column.offsets[rowCount] ?? 0, type.element);
    return { kind: 'list', offsets, element, valid };
  }
  if (column.kind === 'map' && isNested(type, 'map')) {
    const offsets = column.offsets.subarray(0, rowCount + 1);
    const rows = column.offsets[rowCount] ?? 0;
    const key = streamColumn(column.key, rows, type.key);
    return {
      kind: 'map',
      offsets,
      key,
      value: streamColumn(column.value, rows, type.value),
      valid,
    };
  }
  throw new Error(`assert: expected a ${column.kind} of the table for column ${column.name}`);
}

function isNested<Kind extends NestedColumn['kind']>(
  type: IcebergType,
  kind: Kind,
): type is Extract<IcebergType, { type: Kind }> {
  return typeof type !== 'string' && type.type === kind;
}

function asInt64(words: Int32Array, count: number): BigInt64Array {
  return new BigInt64Array(words.buffer, words.byteOffset, count);
}

function constantTimestamp(ms: number, rowCount: number): Column {
  const values = new BigInt64Array(1);
  values[0] = BigInt(Math.trunc(ms)) * 1000n;
  const dictionary: DictionaryValues = {
    size: 1,
    values: { kind: 'int64', values, valid: undefined },
  };
  return { kind: 'dictionary', codes: new Int32Array(rowCount), dictionary };
}

function probe(dimension: JoinDimension, rows: RowBuffer, slots: Int32Array): void {
  const column = rows.columns.find(({ name }) => name === dimension.streamField);
  const count = rows.rowCount;
  switch (column?.kind) {
    case 'int64': {
      const { words, valid } = column;
      dimension.projection.probeInt64({ words, valid, count }, slots);
      return;
    }
    case 'bytes': {
      const { valid } = column;
      const normalised = normaliseSlices(dimension.normaliser, column, count);
      dimension.projection.probeBytes({ ...normalised, valid, count }, slots);
      return;
    }
    case 'int32':
    case 'float32':
    case 'float64':
    case 'boolean':
    case 'struct':
    case 'list':
    case 'map':
    case undefined:
      throw new EnrichError(
        'config',
        `dimension ${dimension.name} cannot join on the stream field "${dimension.streamField}": ` +
          'it must be a long or a string of the stream contract',
      );
  }
}

/** Fills the carried columns and the match status from the slots; returns the number of hits. */
function carry(
  dimension: JoinDimension,
  slots: Int32Array,
  { columns, budget }: { columns: Map<number, Column>; budget: Budget },
): number {
  const status = new Int32Array(slots.length);
  let hits = 0;
  for (let i = 0; i < slots.length; i++) {
    const hit = (slots[i] ?? -1) >= 0;
    status[i] = hit ? HIT : MISS;
    if (hit) hits++;
  }
  columns.set(dimension.matchFieldId, {
    kind: 'dictionary',
    codes: status,
    dictionary: MATCH_VALUES,
  });
  const codes = dimension.columns.map(() => new Int32Array(slots.length));
  dimension.projection.gatherCodes(slots, codes);
  for (const [index, { id, type }] of dimension.columns.entries()) {
    const view = dimension.projection.dictionary(index);
    columns.set(id, carriedColumn({ codes: codes[index] as Int32Array, view, type, budget }));
  }
  return hits;
}

/** The carried column over a dictionary of just the values that this batch uses; `codes` become those of it. */
function carriedColumn(options: {
  codes: Int32Array;
  view: DictionaryView;
  type: IcebergType;
  budget: Budget;
}): Column {
  const { codes, view, type, budget } = options;
  const used = renumberCodes(codes, view.size);
  const spend = (bytes: number): void => {
    budget.bytes += bytes;
    // Before the value is copied: what is too much must not be in memory first.
    if (budget.bytes > budget.bytesMax) throw carriesTooMuch(budget);
  };
  const dictionary = dictionaryColumn(type, { view, codes: used, spend });
  return { kind: 'dictionary', codes, dictionary };
}

/** What the carried values of one batch may take, and have taken. */
type Budget = { bytesMax: number; bytes: number; rowCount: number };

function carriesTooMuch({ bytesMax, rowCount }: Budget): EnrichError {
  return new EnrichError(
    'config',
    `the distinct values that the dimensions add to this commit of ${rowCount} rows are longer than ` +
      `${bytesMax} bytes: lower commit.rows below ${Math.ceil(rowCount / 2)}, or carry fewer of the long columns`,
    { context: { rowCount, bytesMax } },
  );
}
