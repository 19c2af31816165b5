import avsc from 'avsc';
import type { ContractSet } from '../../../enrich/config/check-contracts.ts';
import type { EvolutionConfig } from '../../../enrich/config/pipeline-config.ts';
import type { AvroField, AvroObject, AvroType } from '../../../schemas/contract.ts';
import { evolvableKinds } from '../../../schemas/schema-change-kind.ts';
import { evolving, placeOf, shippedContracts } from './harness.ts';
import type { StartOptions, TableRow, World } from './harness.ts';
import { clickSchema, EVENT_TIME_MS, frame } from './records.ts';

const fields = clickSchema.fields ?? [];
const base = {
  event_time: EVENT_TIME_MS,
  user_id: 1,
  url: 'https://a/',
  device_id: 'd1',
  session_id: null,
  referrer: null,
  duration_ms: null,
};

/** The schema of a click with other fields: those of these names replaced, the others added. */
export function clickWith(...others: AvroField[]): AvroObject {
  const names = new Set(others.map(({ name }) => name));
  return { ...clickSchema, fields: [...fields.filter(({ name }) => !names.has(name)), ...others] };
}

/** The contracts that are shipped, with fields more of the stream. */
export function contractsWith(...others: AvroField[]): ContractSet {
  const { stream, dimensions } = shippedContracts;
  const all = [...stream.avroSchema.fields, ...others];
  return { stream: { ...stream, avroSchema: { ...stream.avroSchema, fields: all } }, dimensions };
}

export const field = (name: string, type: AvroType): AvroField => ({ name, type });

export function withPolicy(
  policy: EvolutionConfig['policy'] = 'evolve',
  allow: EvolutionConfig['allow'] = new Set(policy === 'evolve' ? evolvableKinds : []),
): Pick<StartOptions, 'config'> {
  return evolving({ policy, allow });
}

/** A producer that writes with another schema; its clicks must become rows. */
export async function producer(world: World, writer: AvroObject) {
  const { schemaId } = await world.registry.register(`s${JSON.stringify(writer)}`, writer);
  const type = avsc.Type.forSchema(writer as avsc.Schema);
  const encode = (values: Record<string, unknown>): Uint8Array =>
    frame(schemaId, type.toBuffer({ ...base, ...values }));
  const send = (partition: number, values: Record<string, unknown>): void =>
    sendAtOnce(world, partition, [encode(values)]);
  return { schemaId, encode, send };
}

/** One record batch of clicks that must become rows. */
export function sendAtOnce(world: World, partition: number, values: readonly Uint8Array[]): void {
  const timestampMs = world.time.nowMs();
  const records = values.map((value) => ({ key: null, value, timestampMs }));
  const first = world.log.append('clicks', partition, records);
  const click = { userId: 1, url: 'https://a/', deviceId: 'd1' };
  for (const index of values.keys()) {
    world.stream.push({ partition, offset: first + BigInt(index), click });
  }
}

export async function columnsOf(world: World): Promise<string[]> {
  const { schemas, currentSchemaId } = await world.metadata();
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  return (current?.fields ?? []).map(
    ({ id, name, type, required }) => `${id} ${name} ${JSON.stringify(type)}${required ? '' : '?'}`,
  );
}

/** Values of a column by `partition/offset`. */
export function valuesOf(rows: readonly TableRow[], column: string): Record<string, unknown> {
  return Object.fromEntries(rows.map((row) => [placeOf(row), row[column]]));
}
