import { join } from 'node:path';
import { renumberFields } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type { IcebergType, NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import type { Contract } from '../../schemas/contract.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import {
  deriveDeadLetterSchema,
  deriveTableSchema,
  reconcileFieldIds,
} from '../../schemas/table-schema.ts';
import { contractOf } from './avro-encoding.ts';

const directory = join(import.meta.dirname, '../../schemas');
const [click, user, url] = (await Promise.all(
  ['click', 'user', 'url'].map((name) => loadContract(directory, name)),
)) as [Contract, Contract, Contract];

const dimensions = [
  { name: 'users', prefix: 'user_', contract: user, columns: ['country', 'tier', 'signup_date'] },
  { name: 'urls', prefix: 'url_', contract: url, columns: ['price'] },
];
const derive = (own: Partial<Parameters<typeof deriveTableSchema>[0]> = {}): NestedField[] =>
  deriveTableSchema({ streamContract: click, eventTimeField: 'event_time', dimensions, ...own });

const shown = (fields: readonly NestedField[]): string[] =>
  fields.map(({ id, name, type, required }) =>
    `${id} ${name} ${JSON.stringify(type)}${required ? ' required' : ''}`.replaceAll('"', ''),
  );

describe('the derived table', () => {
  it('has the stream, the carried columns, the matches and the origin, numbered from 1', () => {
    expect(shown(derive())).toEqual([
      '1 event_time timestamptz required',
      '2 user_id long required',
      '3 url string required',
      '4 device_id string required',
      '5 session_id string',
      '6 referrer string',
      '7 duration_ms int',
      '8 user_country string',
      '9 user_tier string',
      '10 user_signup_date date',
      '11 url_price decimal(12, 2)',
      '12 _users_match string',
      '13 _urls_match string',
      '14 _kafka_partition int required',
      '15 _kafka_offset long required',
      '16 _ingested_at timestamptz required',
    ]);
  });

  it('keeps what the contract says about a field', () => {
    expect(derive()[7]?.doc).toBe('ISO 3166-1 alpha-2.');
  });

  it.each([
    ['boolean', 'boolean'],
    ['int', 'int'],
    ['long', 'long'],
    ['float', 'float'],
    ['double', 'double'],
    ['bytes', 'binary'],
    ['string', 'string'],
    [{ type: 'fixed', name: 'F', size: 5 }, 'fixed[5]'],
    [{ type: 'enum', name: 'E', symbols: ['A'] }, 'string'],
    [{ type: 'int', logicalType: 'date' }, 'date'],
    [{ type: 'int', logicalType: 'time-millis' }, 'time'],
    [{ type: 'long', logicalType: 'time-micros' }, 'time'],
    [{ type: 'long', logicalType: 'timestamp-millis' }, 'timestamptz'],
    [{ type: 'long', logicalType: 'timestamp-micros' }, 'timestamptz'],
    [{ type: 'long', logicalType: 'local-timestamp-millis' }, 'timestamp'],
    [{ type: 'long', logicalType: 'local-timestamp-micros' }, 'timestamp'],
    [{ type: 'bytes', logicalType: 'decimal', precision: 9 }, 'decimal(9, 0)'],
    [{ type: 'string', logicalType: 'uuid' }, 'uuid'],
  ])('makes %j a %s', (type, expected) => {
    const streamContract = contractOf([
      { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'a', type },
    ]);
    expect(derive({ streamContract, dimensions: [] })[1]?.type).toBe(expected);
  });

  it.each([
    ['an event time that is no field', { eventTimeField: 'when' }, 'no field when'],
    ['an event time that is no timestamp', { eventTimeField: 'user_id' }, 'a required timestamp'],
    [
      'a column that the contract lacks',
      { dimensions: [{ name: 'users', prefix: '', contract: user, columns: ['age'] }] },
      'contract user has no field age; it has user_id, name',
    ],
    [
      'two columns of one name',
      { dimensions: [{ name: 'users', prefix: '', contract: user, columns: ['user_id'] }] },
      'two columns are named user_id',
    ],
    [
      'two names that differ in case alone',
      {
        dimensions: [
          {
            name: 'users',
            prefix: 'USER',
            contract: contractOf([{ name: '_id', type: 'int' }]),
            columns: ['_id'],
          },
        ],
      },
      'USER_id (user_id)',
    ],
  ])('%s is refused', (_name, own, message) => {
    expect(() => derive(own)).toThrow(message);
  });
});

it('the dead-letter table keeps the record as it came', () => {
  expect(shown(deriveDeadLetterSchema())).toEqual([
    '1 _kafka_topic string required',
    '2 _kafka_partition int required',
    '3 _kafka_offset long required',
    '4 _kafka_timestamp timestamptz required',
    '5 _ingested_at timestamptz required',
    '6 schema_id int',
    '7 error_kind string required',
    '8 error_message string required',
    '9 record_key binary',
    '10 record_value binary',
    '11 _kafka_topic_id string',
  ]);
});

const record = (name: string, fields: unknown[]) => ({ type: 'record', name, fields });
const line = record('Line', [
  { name: 'sku', type: 'string', doc: 'As in the shop.' },
  { name: 'tags', type: ['null', { type: 'map', values: ['null', 'int'] }] },
]);
const nestedContract = contractOf([
  { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
  { name: 'lines', type: { type: 'array', items: line } },
  { name: 'city', type: ['null', 'string'] },
]);

const carrying = (columns: string[]) => [
  { name: 'd', prefix: 'd_', contract: nestedContract, columns },
];

describe('nested columns', () => {
  const fields = derive({ streamContract: nestedContract, dimensions: [] });

  it('have ids at every level, behind those of the columns', () => {
    expect(shown(fields).slice(0, 3)).toEqual([
      '1 event_time timestamptz required',
      '2 lines {type:list,elementId:7,element:{type:struct,fields:[' +
        '{id:8,name:sku,required:true,type:string,doc:As in the shop.},' +
        '{id:9,name:tags,required:false,type:{type:map,keyId:10,key:string,valueId:11,value:int,' +
        'valueRequired:false}}]},elementRequired:true} required',
      '3 city string',
    ]);
  });

  it('whose names differ in case alone are refused', () => {
    const twins = record('R', [
      { name: 'zip', type: 'int' },
      { name: 'ZIP', type: 'int' },
    ]);
    const streamContract = contractOf([
      { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'a', type: { type: 'array', items: twins } },
    ]);
    expect(() => derive({ streamContract, dimensions: [] })).toThrow('a[].ZIP (a[].zip)');
  });

  it('of a dimension cannot be carried, and its other columns can', () => {
    expect(() => derive({ dimensions: carrying(['lines']) })).toThrow(
      'dimension d: contract test has the list lines',
    );
    expect(derive({ dimensions: carrying(['city']) }).map(({ name }) => name)).toContain('d_city');
  });

  // INVARIANTS.md 11
  it('keep the ids that the table has given them, by name, whatever their order', () => {
    const table = renumberFields(fields, (id) => id + 100).map((field) =>
      typeof field.type === 'object' && field.type.type === 'list'
        ? { ...field, type: { ...field.type, element: reversed(field.type.element) } }
        : field,
    );
    const { fieldIds, differences } = reconcileFieldIds(
      fields,
      { schemaId: 0, fields: table },
      'lake.t',
    );
    expect(differences).toEqual([]);
    expect(Object.fromEntries(fieldIds)).toMatchObject({
      lines: 102,
      'lines[]': 107,
      'lines[].sku': 108,
      'lines[].tags': 109,
      'lines[].tags{key}': 110,
      'lines[].tags{}': 111,
    });
  });

  it('that do not fit the table are told by their paths', () => {
    const others = record('Line', [
      { name: 'sku', type: ['null', 'int'] },
      { name: 'tags', type: { type: 'map', values: 'int' } },
      { name: 'weight', type: 'double' },
    ]);
    const streamContract = contractOf([
      { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'lines', type: { type: 'array', items: ['null', others] } },
      { name: 'city', type: { type: 'array', items: 'string' } },
    ]);
    const derived = derive({ streamContract, dimensions: [] });
    expect(reconcileFieldIds(derived, { schemaId: 0, fields }, 'lake.t').differences).toEqual([
      'column lines[] is required in the table but may be null',
      'column city is string in the table, expected list<string>',
    ]);
    const optional = fields.map((field) =>
      field.name === 'lines' && typeof field.type === 'object' && field.type.type === 'list'
        ? { ...field, type: { ...field.type, elementRequired: false } }
        : field,
    );
    expect(
      reconcileFieldIds(derived, { schemaId: 0, fields: optional }, 'lake.t').differences,
    ).toEqual([
      'column lines[].sku is string in the table, expected int',
      'column lines[].weight (double) is missing from the table',
      'column city is string in the table, expected list<string>',
    ]);
  });
});

function reversed(type: IcebergType): IcebergType {
  return typeof type === 'object' && type.type === 'struct'
    ? { ...type, fields: type.fields.toReversed() }
    : type;
}

describe('an existing table', () => {
  const fields = derive({ dimensions: [] });

  // INVARIANTS.md 11
  it('keeps its own field ids, by name', () => {
    const moved = fields.map((field) => ({ ...field, id: field.id + 100 })).toReversed();
    const { fieldIds, differences } = reconcileFieldIds(
      fields,
      { schemaId: 3, fields: moved },
      'lake.t',
    );
    expect(differences).toEqual([]);
    expect(fieldIds.get('event_time')).toBe(101);
    expect(fieldIds.size).toBe(fields.length);
  });

  it('may have more columns and looser ones', () => {
    const looser = fields.map((field) => ({ ...field, required: false }));
    const extra: NestedField = { id: 99, name: 'note', type: 'string', required: false };
    expect(
      reconcileFieldIds(fields, { schemaId: 0, fields: [...looser, extra] }, 'lake.t').differences,
    ).toEqual([]);
  });

  it('that cannot be written to is told column by column', () => {
    const other = fields
      .filter(({ name }) => name !== 'referrer')
      .map((field) => {
        if (field.name === 'user_id') return { ...field, type: 'string' as const };
        return field.name === 'session_id' ? { ...field, required: true } : field;
      });
    const extra: NestedField = { id: 99, name: 'note', type: 'string', required: true };
    const { differences } = reconcileFieldIds(
      fields,
      { schemaId: 0, fields: [...other, extra] },
      'lake.t',
    );
    expect(differences).toEqual([
      'column user_id is string in the table, expected long',
      'column session_id is required in the table but may be null (in Trino: alter table lake.t alter column session_id drop not null)',
      'column referrer (string) is missing from the table',
      'column note of the table is required and nothing writes it',
    ]);
  });
});
