import { applyUpdates } from '@iceberg-js/rest-client-shim/spec/apply-updates.ts';
import { newTableMetadata } from '@iceberg-js/rest-client-shim/spec/new-table.ts';
import avsc from 'avsc';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { evolutionPolicies } from '../../../enrich/config/pipeline-config.ts';
import type { EvolutionConfig } from '../../../enrich/config/pipeline-config.ts';
import { createMetrics } from '../../../enrich/metrics.ts';
import { eventFields } from '../../../enrich/pipeline/event-fields.ts';
import { PipelineStatus } from '../../../enrich/pipeline/pipeline-status.ts';
import { StreamEvolution } from '../../../enrich/pipeline/stream-evolution.ts';
import { contractFields } from '../../../schemas/contract-field.ts';
import type { AvroField, AvroObject, AvroType, Contract } from '../../../schemas/contract.ts';
import { matchFields } from '../../../schemas/match-fields.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../../schemas/row-decoder.ts';
import { evolveContract, schemaChanges } from '../../../schemas/schema-change.ts';
import type { SchemaChange } from '../../../schemas/schema-change.ts';
import { evolvableKinds } from '../../../schemas/schema-change-kind.ts';
import { rowOf } from '../../schemas/avro-encoding.ts';
import { fieldPair, schemasOf, valueOf } from '../../schemas/schema-pair-arbitrary.ts';
import { pipelineConfig } from './harness.ts';
import { VirtualTime, virtualClock } from './virtual-time.ts';

const eventTime = { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } };

/** A type that is named twice, in one of the forms that writers widen it to. */
const twice = fc
  .constantFrom<AvroObject>(
    { type: 'enum', name: 'Shared', symbols: ['A', 'B'] },
    { type: 'enum', name: 'Shared', symbols: ['B', 'C'] },
    ...[7, 9].map((precision) => ({
      type: 'fixed',
      name: precision === 7 ? 'Shared' : 'Wider',
      size: 3,
      logicalType: 'decimal',
      precision,
    })),
  )
  .map((type): AvroField[] => [
    { name: 'shared', type },
    { name: 'again', type: type.name ?? '' },
  ]);

type Event = Contract['avroSchema'];

/** Two schemas of events that have grown from one, and a third that has not. */
const schemas = fc
  .record({
    one: fc.array(fieldPair, { minLength: 1, maxLength: 4 }),
    other: fc.array(fieldPair, { minLength: 1, maxLength: 4 }),
    more: fc.tuple(twice, twice, twice),
  })
  .map(({ one, other, more }) => {
    const { older, newer } = schemasOf({ kind: 'record', fields: one, name: 'same' });
    const { newer: third } = schemasOf({ kind: 'record', fields: other, name: 'same' });
    return [older, newer, third].map((schema, index): Event => {
      const { fields } = schema as unknown as Event;
      const all = [eventTime, ...fields, ...(more[index] ?? [])];
      return { type: 'record', name: 'Event', fields: all };
    });
  });

function isContract(avroSchema: Event): boolean {
  try {
    return contractFields({ name: 'event', avroSchema }).length > 0;
  } catch {
    return false;
  }
}

/** Records of an event as avsc writes them. */
function recordsOf({ fields }: Event): fc.Arbitrary<unknown> {
  const types = new Map(fields.map(({ name, type }) => [name, type]));
  return fc.record(
    Object.fromEntries(
      fields.map(({ name }) => {
        if (name === eventTime.name) return [name, fc.nat()];
        const type = types.get(name === 'again' ? 'shared' : name);
        return [name, valueOf(type as avsc.Schema)];
      }),
    ),
    { noNullPrototype: true },
  );
}

const followsAll: EvolutionConfig = { policy: 'evolve', allow: new Set(evolvableKinds) };

const cases = schemas.chain((all) =>
  fc.record({
    schemas: fc.constant(all),
    records: fc.tuple(...all.map(recordsOf)),
    evolution: fc.oneof(
      fc.constant(followsAll),
      fc.record({
        policy: fc.constantFrom(...evolutionPolicies),
        allow: fc.subarray([...evolvableKinds]).map((kinds) => new Set(kinds)),
      }),
    ),
  }),
);

const shipped = pipelineConfig();
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const shared = {
  logger: silent,
  metrics: createMetrics(),
  status: new PipelineStatus(virtualClock(new VirtualTime(0))),
};

/** A pipeline of these events without dimensions, and its table as it makes it. */
function openPipeline(avroSchema: Event, evolution: EvolutionConfig) {
  const stream = { ...shipped.stream, evolution };
  const config = { ...shipped, stream, dimensions: [] };
  const contracts = {
    stream: { name: 'event', avroSchema },
    dimensions: new Map<string, Contract>(),
  };
  const identifier = { namespace: ['lake'], name: 'events' };
  const request = {
    identifier,
    schema: { schemaId: 0, fields: eventFields({ config, ...contracts }) },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  };
  const tableUuid = 'a1d72a34-de37-4625-914a-2d6b0963c011';
  const metadata = newTableMetadata(request, { location: 'memory://t', tableUuid, nowMs: 0 });
  const table = { identifier, metadata };
  return { metadata, pipeline: new StreamEvolution({ config, contracts, table, ...shared }) };
}

/** One form for what avsc and our columns hold: bytes and text as hex, numbers as floats. */
function plain(value: unknown): unknown {
  if (typeof value === 'string') return Buffer.from(value).toString('hex');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  // A float of ours is rounded, one that avsc reads from an int is not.
  if (typeof value === 'number' || typeof value === 'bigint') return Math.fround(Number(value)) + 0;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The type with names of its own throughout, and those that stand in its place in another as aliases: avsc goes by names. */
function aligned(type: AvroType, other: AvroType | undefined, count: { names: number }): AvroType {
  if (typeof type === 'string') return type;
  const all = (Array.isArray(other) ? other : [other]) as readonly (AvroType | undefined)[];
  if (Array.isArray(type)) {
    return (type as readonly AvroType[]).map((branch) => aligned(branch, other, count));
  }
  const own = type as AvroObject;
  const others = all.flatMap((one) => (typeof one === 'object' ? (one as AvroObject) : []));
  const within = (part: 'items' | 'values'): AvroObject => {
    const inner = others.find((one) => one[part] !== undefined)?.[part];
    return { ...own, [part]: aligned(own[part] ?? 'null', inner, count) };
  };
  if (own.items !== undefined) return within('items');
  if (own.values !== undefined) return within('values');
  if (own.name === undefined) return own;
  count.names += 1;
  const name = `R${count.names}`;
  const named = others.find((one) => one.type === own.type);
  const aliases = [
    ...all.filter((one) => typeof one === 'string'),
    ...(named?.name === undefined ? [] : [named.name]),
  ];
  const fields = own.fields?.map((field) => {
    const origin = named?.fields?.find((one) =>
      [field.name, ...(field.aliases ?? [])].includes(one.name),
    );
    return { ...field, type: aligned(field.type, origin?.type, count) };
  });
  return { ...own, name, aliases, ...(fields === undefined ? {} : { fields }) };
}

/** The values of a record by the fields of a contract, as far as avsc reads them by that alone. */
function oracle(contract: Contract, writer: AvroObject, bytes: Buffer): Map<string, unknown> {
  const fields = writer.fields ?? [];
  const matches = matchFields(contractFields(contract), fields);
  const origins = new Map([...matches].map(([{ name }, origin]) => [name, origin.name]));
  // avsc takes no names that no field can have.
  const named = JSON.stringify(writer).replaceAll(' (skipped)', '_skipped');
  const type = avsc.Type.forSchema(JSON.parse(named) as avsc.Schema);
  const values = new Map<string, unknown>();
  // Each with the types that it names written out, so that it stands for itself.
  for (const own of evolveContract(contract, []).avroSchema.fields) {
    const { name } = own;
    const origin = fields.find((one) => one.name === origins.get(name));
    const aliases = origin === undefined ? [] : [origin.name];
    const only = { ...own, aliases, type: aligned(own.type, origin?.type, { names: 0 }) };
    const reader = avsc.Type.forSchema({
      type: 'record',
      name: 'Event',
      fields: [only],
    } as avsc.Schema);
    try {
      const event = reader.fromBuffer(bytes, reader.createResolver(type)) as object;
      values.set(name, plain(Object.entries(event)[0]?.[1]));
    } catch {
      continue;
    }
  }
  return values;
}

/** What is renamed is that once its type can be read, which another writer may bring about. */
const isFollowable = ({ kind, follow }: SchemaChange): boolean =>
  follow !== undefined && kind !== 'rename-field';

it('whatever writers a contract grows by, its table takes it, and it reads the records of all as avsc does', () => {
  const seen = { grown: 0, compared: 0, refused: 0 };
  fc.assert(
    fc.property(cases, ({ schemas: [base, ...writers], records, evolution }) => {
      if (base === undefined) return;
      fc.pre(isContract(base));
      const all = [base, ...writers];
      const { metadata, pipeline } = openPipeline(base, evolution);
      const ids = new Map<number, AvroObject>();
      for (const [id, schema] of all.entries()) {
        const { contract: sofar } = pipeline.lessonOf(ids.set(id, schema), new Set());
        const left = evolution === followsAll ? schemaChanges(sofar, schema) : [];
        expect(left.filter(isFollowable)).toEqual([]);
      }
      const { contract, avroSchemas } = pipeline.lessonOf(ids, new Set());
      if (contract.avroSchema !== base) seen.grown += 1;

      for (const some of [[0], [1], [2], [0, 1, 2]]) {
        const plan = pipeline.plan(new Set(some), metadata);
        for (const { name } of base.fields) expect(plan.columns.has(name)).toBe(true);
        if (plan.evolution === undefined) continue;
        const after = applyUpdates(metadata, plan.evolution.updates, 0);
        const again = pipeline.plan(new Set(some), after);
        expect(again.evolution).toBeUndefined();
        expect(again.columns).toEqual(plan.columns);
      }

      for (const [id, told] of avroSchemas) {
        if (told === 'unknown') continue;
        const bytes = avsc.Type.forSchema(all[id] as avsc.Schema).toBuffer(records[id]);
        const rows = createRowBuffer(contract, 1);
        const failure = createRowDecoder(contract, told).append(bytes, 0, bytes.length, rows);
        const expected = oracle(contract, told, bytes);
        // avsc takes bytes for text that are none; what it cannot resolve may be readable for us.
        const isSound = expected.size === rows.columns.length || id === 0;
        const allowed = ['read', 'invalid-utf8', ...(isSound ? [] : ['contract-violation'])];
        expect(allowed).toContain(failure?.kind ?? 'read');
        if (failure !== undefined) {
          seen.refused += 1;
          continue;
        }
        const row = rowOf(rows, 0);
        for (const [name, value] of expected) {
          if (name === eventTime.name) continue;
          expect({ [name]: plain(row[name]) }).toEqual({ [name]: value });
          seen.compared += 1;
        }
      }
    }),
    { numRuns: 300 },
  );
  expect(seen.grown).toBeGreaterThan(30);
  expect(seen.compared).toBeGreaterThan(300);
  expect(seen.refused).toBeGreaterThan(10);
}, 60_000);
