import { join } from 'node:path';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
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
