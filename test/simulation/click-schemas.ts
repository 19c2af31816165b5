import avsc from 'avsc';
import type { AvroField, AvroObject, AvroType, Contract } from '../../schemas/contract.ts';
import { createMemoryRegistry } from '../../schemas/memory-registry.ts';
import { clickSchema, frame } from '../enrich/pipeline/records.ts';
import type { StreamEntry } from './truth.ts';

/** The schemas that producers of the stream use, by name. Only `contract` is what the pipelines start with. */
const SCHEMAS = {
  contract: clickWith(),
  tag: clickWith({ name: 'tag', type: 'string' }),
  score: clickWith({ name: 'score', type: ['null', 'int'] }),
  both: clickWith({ name: 'score', type: 'long' }, { name: 'tag', type: 'string' }),
  wide: clickWith({ name: 'duration_ms', type: ['null', 'long'] }),
  inner: clickWith(place('int', { name: 'y', type: 'string' })),
  far: clickWith(place('long')),
} as const;

/** What the pipelines start with: the shipped contract with a record more. */
export const streamContract = { name: 'click', avroSchema: SCHEMAS.contract } as Contract;

export type ClickSchemaName = keyof typeof SCHEMAS;

/** What each schema but the contract brings: columns, and the type of the table that its values need. */
export const BROUGHT: Readonly<Record<ClickSchemaName, Readonly<Record<string, string>>>> = {
  contract: {},
  tag: { tag: 'string' },
  score: { score: 'int' },
  both: { tag: 'string', score: 'long' },
  wide: { duration_ms: 'long' },
  inner: { 'place.y': 'string' },
  far: { 'place.x': 'long' },
};

/** Columns, those within records by their paths, that no contract of the start has. */
export const NEW_COLUMNS: readonly string[] = ['tag', 'score', 'place.y'];

/** Those that producers make wider. */
export const WIDENED_COLUMNS: readonly string[] = ['duration_ms', 'place.x'];

export const registry = createMemoryRegistry();

const writers = new Map<ClickSchemaName, { schemaId: number; type: avsc.Type }>();
for (const [name, avroSchema] of Object.entries(SCHEMAS)) {
  const { schemaId } = await registry.register(`clicks-${name}`, avroSchema);
  const type = avsc.Type.forSchema(avroSchema as avsc.Schema);
  writers.set(name as ClickSchemaName, { schemaId, type });
}

function place(x: AvroType, ...others: AvroField[]): AvroField {
  const fields = [{ name: 'x', type: ['null', x] }, ...others];
  return { name: 'place', type: { type: 'record', name: 'Place', fields } };
}

function clickWith(...others: AvroField[]): AvroObject {
  const names = new Set(others.map(({ name }) => name));
  const own = [...(clickSchema.fields ?? []), place('int')];
  return { ...clickSchema, fields: [...own.filter(({ name }) => !names.has(name)), ...others] };
}

/** A click as its producer writes it. */
export function encodeEntry(click: StreamEntry & { kind: 'click' }): Uint8Array {
  const writer = writers.get(click.schema);
  if (writer === undefined) throw new Error(`no schema ${click.schema}`);
  const body = writer.type.toBuffer({
    event_time: click.eventTimeMs,
    user_id: click.userId,
    url: click.url,
    device_id: click.deviceId,
    session_id: null,
    referrer: null,
    duration_ms: null,
    ...click.values,
    place: { x: click.values['place.x'] ?? null, y: click.values['place.y'] },
  });
  return frame(writer.schemaId, body);
}
