import { loadCrc32c } from '../source/wire/crc32c.ts';
import type { DimensionRecord, StateColumn } from './dimension-record.ts';
import type { ProjectionFile } from './projection-files.ts';
import type { SharedWords } from './shared-memory.ts';

/**
 * The memory of a projection as a file.
 *
 * | bytes       | what                                                                     |
 * |-------------|--------------------------------------------------------------------------|
 * | 8           | `tribproj`                                                               |
 * | 4           | version, 3                                                               |
 * | 4           | length of the header                                                     |
 * | header      | JSON, `ImageHeader`                                                      |
 * | 4           | CRC-32C of all before                                                    |
 * | arrays      | the used words of each array, one after another, as memory has them      |
 * | 4 each      | CRC-32C of each piece of 16 MiB of each array                            |
 * | 4           | CRC-32C of these                                                         |
 *
 * Numbers are little endian. The version is raised whenever what stands in the arrays changes its meaning.
 */
const MAGIC = Buffer.from('tribproj');
const VERSION = 3;
const PREFIX_BYTES = MAGIC.length + 8;
const HEADER_BYTES_MAX = 16 * 1024 ** 2;
const PIECE_BYTES_MAX = 16 * 1024 ** 2;

/** What the image is of: an image of anything else is none. */
export type ImageSubject = {
  id: string;
  dimension: string;
  keys: DimensionRecord['keys'];
  columns: readonly StateColumn[];
};

type ImageHeader = ImageSubject & { lengths: readonly number[] };

const crc32c = loadCrc32c().sum;

/** The pieces of an image, which must not change while they are written. */
export async function* imagePieces(
  subject: ImageSubject,
  arrays: readonly SharedWords[],
): AsyncGenerator<Uint8Array> {
  const header: ImageHeader = { ...subject, lengths: arrays.map(({ length }) => length) };
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.concat([MAGIC, word(VERSION), word(json.length), json]);
  yield Buffer.concat([start, word(crc32c(start))]);
  const sums: Buffer[] = [];
  for (const { usedBytes } of arrays) {
    for (const piece of piecesOf(usedBytes)) {
      sums.push(word(crc32c(piece)));
      yield piece;
    }
  }
  const end = Buffer.concat(sums);
  yield Buffer.concat([end, word(crc32c(end))]);
}

/**
 * Reads an image into arrays that are as they were when they were created. Throws an error that says why, where the
 * file is damaged, too short, of another version or of another subject; the arrays are then no use any more.
 */
export async function readImage(
  file: ProjectionFile,
  subject: ImageSubject,
  arrays: readonly SharedWords[],
): Promise<void> {
  const { header, end } = await readHeader(file);
  const { lengths, ...found } = header;
  if (JSON.stringify(found) !== JSON.stringify(subject)) throw new Error('it is of something else');
  if (lengths.length !== arrays.length) throw new Error('it has other arrays');
  for (const [index, array] of arrays.entries()) array.reserve(lengths[index] ?? 0);
  const pieces = arrays.flatMap(({ usedBytes }) => piecesOf(usedBytes));
  const dataEnd = pieces.reduce((at, { length }) => at + length, end);
  const sums = Buffer.alloc(pieces.length * 4 + 4);
  if (file.size !== dataEnd + sums.length) throw new Error(`it has ${file.size} bytes`);
  await file.read(sums, dataEnd);
  assertSum(sums.subarray(0, -4), sums.readUInt32LE(pieces.length * 4), 'its sums are');
  let at = end;
  for (const [index, piece] of pieces.entries()) {
    await file.read(piece, at);
    assertSum(piece, sums.readUInt32LE(index * 4), `it is`);
    at += piece.length;
  }
}

async function readHeader(file: ProjectionFile): Promise<{ header: ImageHeader; end: number }> {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  await file.read(prefix, 0);
  if (!prefix.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('it is no projection');
  const version = prefix.readUInt32LE(MAGIC.length);
  if (version !== VERSION) throw new Error(`it is of version ${version}, not ${VERSION}`);
  const length = prefix.readUInt32LE(MAGIC.length + 4);
  if (length > HEADER_BYTES_MAX) throw new Error('its header is damaged');
  const whole = Buffer.alloc(PREFIX_BYTES + length + 4);
  await file.read(whole, 0);
  assertSum(whole.subarray(0, -4), whole.readUInt32LE(PREFIX_BYTES + length), 'its header is');
  const json = whole.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + length);
  return { header: JSON.parse(json) as ImageHeader, end: whole.length };
}

function assertSum(bytes: Uint8Array, expected: number, what: string): void {
  if (crc32c(bytes) !== expected) throw new Error(`${what} damaged`);
}

function piecesOf(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES_MAX) {
    pieces.push(bytes.subarray(at, at + PIECE_BYTES_MAX));
  }
  return pieces;
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
