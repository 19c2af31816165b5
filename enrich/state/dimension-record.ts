import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { NormaliserName } from '../config/pipeline-config.ts';
import { EnrichError } from '../error.ts';
import type { Position } from '../source/log.ts';
import type { ImageMark } from './change-journal.ts';
import { ContentSum } from './content-sum.ts';
import type { StoreWrite } from './key-value-store.ts';
import { dimensionKey } from './store-key.ts';

/** A carried column and the type that the contract gives it. */
export type StateColumn = { name: string; type: PrimitiveType };

/** What the state needs to know of a dimension. */
export type DimensionDefinition = {
  name: string;
  primaryKey: string;
  joinKey: string;
  /** A long or int joins as an integer, a string or uuid as bytes. */
  joinKeyType: PrimitiveType;
  normaliser: NormaliserName;
  columns: readonly StateColumn[];
};

export type SourcePosition = { clusterId: string; topicId: string; next: Position };

/** What the store knows of a dimension beside its rows; it enters the store in the batch of the rows. */
export type DimensionRecord = {
  /** How rows are found; fixed for the life of the state. */
  keys: { primaryKey: string; joinKey: string; joinKeyType: string; normaliser: string };
  /** Every list of columns that rows were written with; a row names its own by index. */
  layouts: readonly (readonly StateColumn[])[];
  /** The one that rows are written with now. */
  layout: number;
  source: SourcePosition | undefined;
  /** Rows and deletions at or below this source position are gone. */
  truncatedAt: bigint | undefined;
  /** What all rows in the store add up to; undefined in a state that is older than this sum. */
  content: ContentSum | undefined;
  /** The file that holds the projection as it was, with the changes since; undefined while there is none. */
  image: ImageMark | undefined;
};

/**
 * The record for a definition, from what was stored. Columns may go and come: rows keep the layout that they
 * were written with. Where a column is new or has another type, the change topic is read again from its
 * start (`next` is empty), for it holds what the rows lack.
 * Errors: `config` where the keys differ from those that the state was built with.
 */
export function recordFor(
  definition: DimensionDefinition,
  stored: DimensionRecord | undefined,
): DimensionRecord {
  const { primaryKey, joinKey, joinKeyType, normaliser, columns } = definition;
  const keys = { primaryKey, joinKey, joinKeyType, normaliser };
  if (stored === undefined) {
    const content = new ContentSum();
    const layouts = [columns];
    const nothing = { source: undefined, truncatedAt: undefined, image: undefined };
    return { keys, layouts, layout: 0, content, ...nothing };
  }
  assertSameKeys(definition.name, stored.keys, keys);
  const inUse = stored.layouts[stored.layout] ?? [];
  if (sameColumns(inUse, columns)) return stored;
  const known = stored.layouts.findIndex((layout) => sameColumns(layout, columns));
  const layouts = known >= 0 ? stored.layouts : [...stored.layouts, columns];
  const layout = known >= 0 ? known : layouts.length - 1;
  const source = lacksColumns(inUse, columns) ? fromStart(stored.source) : stored.source;
  return { ...stored, layouts, layout, source, image: undefined };
}

/** Whether a row of the layout lacks one of the columns, or has it with another type. */
export function lacksColumns(
  layout: readonly StateColumn[],
  columns: readonly StateColumn[],
): boolean {
  return columns.some(
    ({ name, type }) => !layout.some((column) => column.name === name && column.type === type),
  );
}

function fromStart(source: SourcePosition | undefined): SourcePosition | undefined {
  return source === undefined ? undefined : { ...source, next: new Map() };
}

function sameColumns(left: readonly StateColumn[], right: readonly StateColumn[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ name, type }, i) => name === right[i]?.name && type === right[i]?.type)
  );
}

function assertSameKeys(
  name: string,
  stored: DimensionRecord['keys'],
  keys: DimensionRecord['keys'],
): void {
  const fields = ['primaryKey', 'joinKey', 'joinKeyType', 'normaliser'] as const;
  const changed = fields.find((field) => stored[field] !== keys[field]);
  if (changed === undefined) return;
  throw new EnrichError(
    'config',
    `dimension ${name}: the state was built with ${changed} ${stored[changed]}, now it is ` +
      `${keys[changed]}. Change it back, or stop the pipeline, delete state.directory and start again: ` +
      'the state is built again from the change topics',
    { context: { dimension: name, stored, configured: keys } },
  );
}

type RecordJson = Omit<DimensionRecord, 'source' | 'truncatedAt' | 'content' | 'image'> & {
  version: 1;
  source?: { clusterId: string; topicId: string; next: Record<string, string> };
  truncatedAt?: string;
  content?: { rows: number; hash: number };
  image?: { id: string; keys: number; batches: number; hash: number };
};

export function encodeRecord(record: DimensionRecord): Uint8Array {
  const { keys, layouts, layout, source, truncatedAt, content, image } = record;
  const json: RecordJson = { version: 1, keys, layouts, layout };
  if (truncatedAt !== undefined) json.truncatedAt = String(truncatedAt);
  if (content !== undefined) json.content = { rows: content.rows, hash: content.hash };
  if (image !== undefined) {
    const { rows: batches, hash } = image.journal;
    json.image = { id: image.id, keys: image.keys, batches, hash };
  }
  if (source !== undefined) {
    const next = Object.fromEntries([...source.next].map(([p, offset]) => [p, String(offset)]));
    json.source = { clusterId: source.clusterId, topicId: source.topicId, next };
  }
  return new TextEncoder().encode(JSON.stringify(json));
}

/** What stores a record beside the rows. */
export function recordWrite(dimension: string, record: DimensionRecord): StoreWrite {
  return { key: dimensionKey(dimension), value: encodeRecord(record) };
}

/** Errors: `rebuild` for bytes that `encodeRecord` did not write. */
export function decodeRecord(bytes: Uint8Array): DimensionRecord {
  try {
    const json = JSON.parse(new TextDecoder().decode(bytes)) as RecordJson;
    if (json.version !== 1) throw new Error(`version ${String(json.version)}`);
    const { keys, layouts, layout, source, truncatedAt, content, image } = json;
    return {
      keys,
      layouts,
      layout,
      source: source === undefined ? undefined : { ...source, next: decodePosition(source.next) },
      truncatedAt: truncatedAt === undefined ? undefined : BigInt(truncatedAt),
      content: content === undefined ? undefined : new ContentSum(content.rows, content.hash),
      image:
        image === undefined
          ? undefined
          : {
              id: image.id,
              keys: image.keys,
              journal: new ContentSum(image.batches, image.hash),
            },
    };
  } catch (cause) {
    throw new EnrichError('rebuild', 'a record of the state cannot be read', { cause });
  }
}

function decodePosition(next: Readonly<Record<string, string>>): Position {
  return new Map(Object.entries(next).map(([p, offset]) => [Number(p), BigInt(offset)]));
}
