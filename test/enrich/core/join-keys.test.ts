import { expect, it } from 'vitest';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { createClickBatch } from '../../../enrich/core/click-batch.ts';
import { joinBatch } from '../../../enrich/core/join.ts';
import { appendBytes, appendUuidText } from '../../../schemas/column-store.ts';
import type { AvroType } from '../../../schemas/contract.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';
import type { BufferColumn } from '../../../schemas/row-buffer.ts';
import { openWith, upsert, users } from '../state/state-fixture.ts';

const BOOKKEEPING = ['user_id', '_kafka_partition', '_kafka_offset', '_ingested_at'];
const text = (value: string) => new TextEncoder().encode(value);

function appendText(column: BufferColumn, row: number, value: string): void {
  if (column.kind !== 'bytes') throw new Error(`a text column, got ${column.kind}`);
  appendBytes(column, row, text(value), 0, text(value).length);
}

function appendUuid(column: BufferColumn, row: number, value: string): void {
  if (column.kind !== 'bytes') throw new Error(`a uuid column, got ${column.kind}`);
  if (!appendUuidText(column, row, text(value), 0, text(value).length)) throw new Error(value);
}

function appendLong(column: BufferColumn, row: number, value: string): void {
  if (column.kind !== 'int64') throw new Error(`a long column, got ${column.kind}`);
  new BigInt64Array(column.words.buffer)[row] = BigInt(value);
  column.valid[row] = 1;
}

const cases: {
  joinKeyType: PrimitiveType;
  avro: AvroType;
  append: (column: BufferColumn, row: number, value: string) => void;
  /** The second is in the dimension. */
  keys: [string, string, string];
  stored: unknown;
}[] = [
  {
    joinKeyType: 'long',
    avro: 'long',
    append: appendLong,
    keys: ['-1', '-9223372036854775808', '9223372036854775807'],
    stored: -(2n ** 63n),
  },
  {
    joinKeyType: 'string',
    avro: 'string',
    append: appendText,
    keys: ['', 'zürich', 'zürich '],
    stored: 'zürich',
  },
  {
    joinKeyType: 'uuid',
    avro: { type: 'string', logicalType: 'uuid' },
    append: appendUuid,
    keys: [
      '6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1',
      '6F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0',
      '00000000-0000-0000-0000-000000000000',
    ],
    stored: '6f1e2d3c-4b5a-6978-8796-A5B4C3D2E1F0',
  },
];

it.each(cases)('a click joins on a $joinKeyType', async ({ joinKeyType, avro, ...values }) => {
  const { append, keys, stored } = values;
  const { state, take } = await openWith({ ...users, joinKeyType });
  await take(upsert(1, { user_id: stored, name: 'found', score: null }));
  const contract = {
    name: 'click',
    avroSchema: { type: 'record', name: 'click', fields: [{ name: 'user_id', type: avro }] },
  };
  const clicks = createClickBatch(createRowBuffer(contract, keys.length), keys.length);
  const [column] = clicks.rows.columns;
  if (column === undefined) throw new Error('no column');
  for (const [row, key] of keys.entries()) append(column, row, key);
  clicks.rows.rowCount = keys.length;
  const dimension = {
    name: 'users',
    streamField: 'user_id',
    normaliser: 'none' as const,
    projection: state.projection('users'),
    columns: [{ id: 10, type: 'string' as const }],
    matchFieldId: 11,
  };
  const columns = new Map(BOOKKEEPING.map((name, id) => [name, { id, type: 'string' as const }]));
  const { batch } = joinBatch(clicks, { columns, dimensions: [dimension] }, 0);
  const name = batch.columns.get(10);
  expect(name?.kind === 'dictionary' && [...name.codes]).toEqual([-1, 0, -1]);
});
