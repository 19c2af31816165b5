import { constants, zstdCompressSync } from 'node:zlib';
import type { DictionaryColumn, FlatColumn, PlainColumn } from '../columns.ts';
import { renumberCodes } from '../renumber-codes.ts';
import { writeIndices, writeLevels } from './bit-packing.ts';
import { ByteSink } from './byte-sink.ts';
import { columnValues } from './column-values.ts';
import { CompactThrift } from './compact-thrift.ts';
import type { LeafEntries } from './leaf-entries.ts';
import { type Encoding, ENCODING, type PageValues, type PrimitiveField } from './page-values.ts';

/** One column of one row group, as it stands in the file. */
export type ColumnChunk = {
  /** Where its first page starts. */
  start: number;
  /** Where its first data page starts, behind the dictionary if it has one. */
  dataStart: number;
  end: number;
  encodings: readonly Encoding[];
  uncompressedBytes: number;
  /** Values and places where there is none. */
  entryCount: number;
  nullCount: number;
  nanCount: number | undefined;
  bounds: PageValues['bounds'];
};

export type PageSettings = {
  zstdLevel: number;
  /** About as many bytes as a data page has uncompressed. */
  pageBytesMax: number;
};

/** Readers hold a dictionary in memory as a whole: a longer one must spare them more than it costs. */
const SMALL_DICTIONARY_BYTES_MAX = 4 * 1024 ** 2;
/** What a long dictionary leaves behind beyond this is given back. */
const RAW_BYTES_KEPT_MAX = 16 * 1024 ** 2;
const RAW_BYTES = 1024 ** 2;
const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;

/** Encodes columns into a file. Its memory is used again for each column: fresh memory costs more than the work. */
export class ChunkEncoder {
  readonly #settings: PageSettings;
  #raw = new ByteSink(RAW_BYTES);
  #flags = new Uint8Array(0);
  #places = new Int32Array(0);
  #numbers = new Int32Array(0);

  constructor(settings: PageSettings) {
    this.#settings = settings;
  }

  /**
   * Appends the given rows of a column to the file, in their order. Its memory, and what the file takes before it is
   * compressed, stay below a few times the distinct values, however often each of them stands in the rows. Errors: as
   * `columnValues`.
   */
  encode(file: ByteSink, field: PrimitiveField, column: FlatColumn, rows: Int32Array): ColumnChunk {
    const { length } = rows;
    if (this.#flags.length < length) {
      this.#flags = new Uint8Array(length);
      this.#places = new Int32Array(length);
    }
    const memory = { flags: this.#flags, at: this.#places };
    const present =
      column.kind === 'dictionary'
        ? presentCodes(column, rows, memory)
        : presentRows(column.valid, rows, memory);
    return this.encodeEntries(file, field, column, {
      count: length,
      at: present.at,
      definition: present.valid,
      definitionMax: field.required ? 0 : 1,
      repetition: undefined,
      repetitionMax: 0,
    });
  }

  /** The same for the entries of a column within others. */
  encodeEntries(
    file: ByteSink,
    field: PrimitiveField,
    column: FlatColumn,
    entries: LeafEntries,
  ): ColumnChunk {
    if (this.#raw.bytes.length > RAW_BYTES_KEPT_MAX) this.#raw = new ByteSink(RAW_BYTES);
    this.#raw.length = 0;
    const pages = new Pages(file, entries, this.#raw, this.#settings);
    if (column.kind === 'dictionary') this.#addDictionaryColumn(pages, field, column, entries.at);
    else pages.addValues(columnValues(field, column, entries.at));
    return pages.chunk;
  }

  /** Where a dictionary does not stay one, values go out one by one. */
  #addDictionaryColumn(
    pages: Pages,
    field: PrimitiveField,
    { dictionary }: DictionaryColumn,
    codes: Int32Array,
  ): void {
    if (this.#numbers.length < codes.length) this.#numbers = new Int32Array(codes.length);
    const numbers = this.#numbers.subarray(0, codes.length);
    numbers.set(codes);
    const { values } = dictionary;
    const used = renumberCodes(numbers, dictionary.size);
    if (staysDictionary(values, used, codes)) {
      const distinct = columnValues(field, values, used);
      // The count of NaN is one of rows, not of distinct values.
      if ((distinct.nanCount ?? 0) === 0) {
        pages.addDictionary(distinct, numbers);
        return;
      }
    }
    pages.addValues(columnValues(field, values, codes));
  }
}

/**
 * A small dictionary whose values repeat, or any that is at most half as long as the values of all rows: a text of a
 * MiB may stand in each of 100 000 rows. Booleans have none.
 */
function staysDictionary(values: PlainColumn, used: Int32Array, codes: Int32Array): boolean {
  if (used.length === 0 || values.kind === 'boolean') return false;
  const byteLength = byteLengthOf(values, used);
  const repeats = used.length * 2 <= codes.length;
  if (repeats && byteLength <= SMALL_DICTIONARY_BYTES_MAX) return true;
  return byteLength * 2 <= byteLengthOf(values, codes);
}

/** Without the lengths of texts. */
function byteLengthOf(values: PlainColumn, rows: Int32Array): number {
  if (values.kind !== 'bytes') return rows.length * values.values.BYTES_PER_ELEMENT;
  const { offsets } = values.slices;
  let byteLength = 0;
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] as number;
    byteLength += (offsets[row + 1] as number) - (offsets[row] as number);
  }
  return byteLength;
}

type Memory = { flags: Uint8Array; at: Int32Array };

/** Which of the rows have a value (absent: all), and where it stands: rows of the column, or codes of its dictionary. */
type Present = { valid: Uint8Array | undefined; at: Int32Array };

function presentRows(valid: Uint8Array | undefined, rows: Int32Array, memory: Memory): Present {
  if (valid === undefined) return { valid: undefined, at: rows };
  const { flags, at } = memory;
  let count = 0;
  for (let index = 0; index < rows.length; index += 1) {
    const row = rows[index] as number;
    const flag = valid[row] === 0 ? 0 : 1;
    flags[index] = flag;
    at[count] = row;
    count += flag;
  }
  return count === rows.length
    ? { valid: undefined, at: rows }
    : { valid: flags, at: at.subarray(0, count) };
}

/** A code below zero is null, and so is one whose value is. */
function presentCodes(
  { codes, dictionary }: DictionaryColumn,
  rows: Int32Array,
  { flags, at }: Memory,
): Present {
  const { valid } = dictionary.values;
  let count = 0;
  for (let index = 0; index < rows.length; index += 1) {
    const code = codes[rows[index] as number] as number;
    const flag = code < 0 || (valid !== undefined && valid[code] === 0) ? 0 : 1;
    flags[index] = flag;
    at[count] = code;
    count += flag;
  }
  return { valid: count === rows.length ? undefined : flags, at: at.subarray(0, count) };
}

/** Puts values into pages of one chunk. */
class Pages {
  readonly chunk: ColumnChunk;
  readonly #file: ByteSink;
  readonly #entries: LeafEntries;
  readonly #raw: ByteSink;
  readonly #settings: PageSettings;

  constructor(file: ByteSink, entries: LeafEntries, raw: ByteSink, settings: PageSettings) {
    this.#file = file;
    this.#entries = entries;
    this.#raw = raw;
    this.#settings = settings;
    this.chunk = {
      start: file.length,
      dataStart: file.length,
      end: file.length,
      encodings: [],
      uncompressedBytes: 0,
      entryCount: entries.count,
      nullCount: entries.count - entries.at.length,
      nanCount: undefined,
      bounds: undefined,
    };
  }

  addValues(values: PageValues): void {
    this.#describe(values, [values.encoding, ENCODING.rle]);
    this.#addDataPages(values.encoding, values.byteLength, (from, to) =>
      values.write(this.#raw, from, to),
    );
  }

  /** `numbers` are places in the dictionary's values. */
  addDictionary(values: PageValues, numbers: Int32Array): void {
    const { chunk } = this;
    this.#describe(values, [ENCODING.plain, ENCODING.rle, ENCODING.rleDictionary]);
    values.writePlain(this.#raw);
    this.#endPage(DICTIONARY_PAGE, (thrift) =>
      thrift.struct(7, () => {
        thrift.int32(1, values.count);
        thrift.int32(2, ENCODING.plain);
      }),
    );
    chunk.dataStart = chunk.end;
    const size = values.count;
    this.#addDataPages(ENCODING.rleDictionary, numbers.byteLength, (from, to) =>
      writeIndices(this.#raw, numbers, { from, to, size }),
    );
  }

  #describe(values: PageValues, encodings: readonly Encoding[]): void {
    this.chunk.encodings = encodings;
    this.chunk.bounds = values.bounds;
    this.chunk.nanCount = values.nanCount;
  }

  /** Pages of about as many entries each; the entries of a row are in one. */
  #addDataPages(
    encoding: Encoding,
    byteLength: number,
    write: (from: number, to: number) => void,
  ): void {
    const { count, definition, definitionMax, repetition, repetitionMax } = this.#entries;
    const pageCount = Math.ceil(byteLength / this.#settings.pageBytesMax);
    const pageEntries = Math.ceil(count / Math.max(1, pageCount));
    let value = 0;
    let to = 0;
    for (let from = 0; from < count; from = to) {
      to = Math.min(from + pageEntries, count);
      if (repetition !== undefined) while (to < count && repetition[to] !== 0) to += 1;
      const range = { from, to };
      const end = value + this.#countValues(range);
      if (repetition !== undefined) writeLevels(this.#raw, repetition, repetitionMax, range);
      if (definitionMax > 0) writeLevels(this.#raw, definition, definitionMax, range);
      write(value, end);
      value = end;
      const entryCount = to - from;
      this.#endPage(DATA_PAGE, (thrift) =>
        thrift.struct(5, () => {
          thrift.int32(1, entryCount);
          thrift.int32(2, encoding);
          thrift.int32(3, ENCODING.rle);
          thrift.int32(4, ENCODING.rle);
        }),
      );
    }
  }

  #countValues({ from, to }: { from: number; to: number }): number {
    const { definition, definitionMax } = this.#entries;
    if (definition === undefined) return to - from;
    let count = 0;
    for (let entry = from; entry < to; entry += 1) {
      if (definition[entry] === definitionMax) count += 1;
    }
    return count;
  }

  /** Compresses what was written since the last page, and puts it behind its header. */
  #endPage(type: number, describe: (thrift: CompactThrift) => void): void {
    const raw = this.#raw.view();
    const body = zstdCompressSync(raw, {
      params: { [constants.ZSTD_c_compressionLevel]: this.#settings.zstdLevel },
      pledgedSrcSize: raw.length,
      // All of it in one piece: nothing compressed is longer.
      chunkSize: raw.length + (raw.length >> 7) + 1024,
    });
    const thrift = new CompactThrift();
    thrift.int32(1, type);
    thrift.int32(2, raw.length);
    thrift.int32(3, body.length);
    describe(thrift);
    thrift.end();
    this.#file.append(thrift.bytes);
    this.#file.append(body);
    this.chunk.end = this.#file.length;
    this.chunk.uncompressedBytes += thrift.bytes.length + raw.length;
    this.#raw.length = 0;
  }
}
