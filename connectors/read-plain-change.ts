import avsc from 'avsc';
import { frameBytes, readSchemaId } from './framing.ts';
import { generateRowReader } from './generate-row-reader.ts';
import type { EnvelopeWords, RowReader, Use } from './generate-row-reader.ts';
import { avroColumns } from './row-columns.ts';
import { RowSlots } from './row-slots.ts';

/** Where keys and values of records stand in their batch; a length below 0 is null. */
export type RecordPlaces = {
  bytes: Uint8Array;
  keyStart: Int32Array;
  keyLength: Int32Array;
  valueStart: Int32Array;
  valueLength: Int32Array;
};

/**
 * A create, update or read of a row with nothing unusual about it, as columns: the same as the `upsert` of
 * `RowChange`, without unavailable columns, at a position of the log above 0. Valid until the next is read.
 */
export type PlainChange = {
  key: RowSlots;
  /** The columns that were asked for, in that order; a column that the schema lacks is null. */
  after: RowSlots;
  positionLow: number;
  positionHigh: number;
  initialSnapshot: boolean;
};

/** Reads a record of a batch; undefined for whatever is not plain, which `ChangeDecoder.decode` is to read. */
export type PlainChangeReader = (records: RecordPlaces, index: number) => PlainChange | undefined;

type KeyReader = { read: RowReader; slots: RowSlots };

const CREATE = 'c'.charCodeAt(0);
const UPDATE = 'u'.charCodeAt(0);
const READ = 'r'.charCodeAt(0);

/**
 * A reader of plain changes: most records of any topic, and nearly all of a first load. What it gives is what the
 * strict decoder gives for the record, and it gives nothing where that would reject it.
 */
export function createPlainChangeReader(options: {
  resolve: (schemaId: number) => object | undefined;
  columns: readonly string[];
}): PlainChangeReader {
  const words: EnvelopeWords = {
    hasAfter: false,
    op: 0,
    hasLsn: false,
    lsnLow: 0,
    lsnHigh: 0,
    isIncremental: false,
  };
  const after = new RowSlots(options.columns);
  const keys = new SchemaReaders(options.resolve, createKeyReader);
  const envelopes = new SchemaReaders(options.resolve, (schema) =>
    createEnvelopeReader(schema, options.columns),
  );
  const change: PlainChange = {
    key: new RowSlots([]),
    after,
    positionLow: 0,
    positionHigh: 0,
    initialSnapshot: false,
  };
  return (records, index) => {
    const bytes = asBuffer(records.bytes);
    const valueStart = records.valueStart[index] as number;
    const valueEnd = valueStart + (records.valueLength[index] as number);
    const readValue = envelopes.of(bytes, valueStart, valueEnd);
    const keyStart = records.keyStart[index] as number;
    const keyEnd = keyStart + (records.keyLength[index] as number);
    const keyReader = keys.of(bytes, keyStart, keyEnd);
    if (readValue === undefined || keyReader === undefined) return undefined;
    clear(after, bytes);
    words.hasAfter = words.hasLsn = words.isIncremental = false;
    words.op = 0;
    const range = { start: valueStart + frameBytes, end: valueEnd };
    if (!readValue(bytes, range, { slots: after, words }) || !isPlain(words)) return undefined;
    const { slots, read } = keyReader;
    clear(slots, bytes);
    const keyRange = { start: keyStart + frameBytes, end: keyEnd };
    if (!read(bytes, keyRange, { slots, words })) return undefined;
    change.key = slots;
    change.positionLow = words.lsnLow;
    change.positionHigh = words.lsnHigh;
    change.initialSnapshot = words.op === READ;
    return change;
  };
}

/** Not at position 0, which stands for a read that has no place in the log. */
function isPlain({ op, hasAfter, hasLsn, lsnLow, lsnHigh, isIncremental }: EnvelopeWords): boolean {
  if (op !== CREATE && op !== UPDATE && op !== READ) return false;
  return hasAfter && hasLsn && !isIncremental && (lsnHigh > 0 || (lsnHigh === 0 && lsnLow !== 0));
}

function clear(slots: RowSlots, bytes: Buffer): void {
  slots.bytes = bytes;
  slots.kinds.fill(0);
}

/** Readers by the schema id in a frame; nearly always that of the record before. */
class SchemaReaders<T> {
  readonly #resolve: (schemaId: number) => object | undefined;
  readonly #create: (schema: object) => T | undefined;
  readonly #known = new Map<number, T | undefined>();
  #lastId = -1;
  #last: T | undefined;

  constructor(
    resolve: (schemaId: number) => object | undefined,
    create: (schema: object) => T | undefined,
  ) {
    this.#resolve = resolve;
    this.#create = create;
  }

  /** The reader for the schema that a frame names; undefined for other framings and schemas that are not loaded. */
  of(bytes: Buffer, start: number, end: number): T | undefined {
    const schemaId = readSchemaId(bytes, start, end);
    if (schemaId < 0) return undefined;
    if (schemaId === this.#lastId) return this.#last;
    if (!this.#known.has(schemaId) && !this.#load(schemaId)) return undefined;
    this.#lastId = schemaId;
    this.#last = this.#known.get(schemaId);
    return this.#last;
  }

  #load(schemaId: number): boolean {
    const schema = this.#resolve(schemaId);
    if (schema === undefined) return false;
    this.#known.set(schemaId, this.#created(schema));
    return true;
  }

  #created(schema: object): T | undefined {
    try {
      return this.#create(schema);
    } catch {
      // What is wrong with a schema is the strict decoder's to tell.
      return undefined;
    }
  }
}

function createKeyReader(schema: object): KeyReader | undefined {
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  if (!avsc.Type.isType(type, 'record')) return undefined;
  const columns = avroColumns(schema);
  const slots = new RowSlots(columns.map(({ name }) => name));
  const uses = columns.map(({ name, normalise }, slot): [string, Use] => [
    name,
    { kind: 'slot', slot, normalise },
  ]);
  const read = generateRowReader(type, { kind: 'fields', of: new Map(uses) });
  return read === undefined ? undefined : { read, slots };
}

function createEnvelopeReader(schema: object, wanted: readonly string[]): RowReader | undefined {
  const type = avsc.Type.forSchema(schema as avsc.Schema);
  if (!avsc.Type.isType(type, 'record')) return undefined;
  const after = avroColumns(schema, { field: 'after', wanted }).map(
    ({ name, normalise }): [string, Use] => [
      name,
      { kind: 'slot', slot: wanted.indexOf(name), normalise },
    ],
  );
  // A binlog's position is the strict decoder's.
  if (avroColumns(schema, { field: 'source', wanted: ['file'] }).length > 0) return undefined;
  const source = new Map<string, Use>([
    ['lsn', { kind: 'lsn' }],
    ['snapshot', { kind: 'snapshot' }],
  ]);
  const fields = new Map<string, Use>([
    ['after', { kind: 'fields', of: new Map(after), isAfter: true }],
    ['source', { kind: 'fields', of: source }],
    ['op', { kind: 'op' }],
  ]);
  return generateRowReader(type, { kind: 'fields', of: fields });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
