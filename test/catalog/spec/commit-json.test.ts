import { describe, expect, test } from 'vitest';
import { commitTableToWire, createTableToWire } from '../../../catalog/spec/commit-json.ts';
import { stringifyJson } from '../../../catalog/rest/json.ts';
import { tableRequest } from '../rest/table-requests.ts';

const identifier = { namespace: ['db'], name: 'orders' };

describe('writing requests', () => {
  test('a create request says stage-create false and spells everything as the spec does', () => {
    expect(createTableToWire(tableRequest(identifier))).toEqual({
      name: 'orders',
      schema: {
        type: 'struct',
        'schema-id': 3,
        'identifier-field-ids': [10],
        fields: [
          { id: 10, name: 'event_id', required: true, type: 'string' },
          {
            id: 20,
            name: 'tags',
            required: false,
            type: { type: 'list', 'element-id': 21, element: 'string', 'element-required': false },
          },
          { id: 30, name: 'event_time', required: true, type: 'timestamptz', doc: 'UTC' },
        ],
      },
      'partition-spec': {
        'spec-id': 7,
        fields: [{ 'source-id': 30, 'field-id': 1234, name: 'event_day', transform: 'day' }],
      },
      'write-order': {
        'order-id': 5,
        fields: [
          {
            transform: 'identity',
            'source-id': 30,
            direction: 'asc',
            'null-order': 'nulls-first',
          },
        ],
      },
      'stage-create': false,
      properties: { 'format-version': '2' },
    });
  });

  test('a create request carries a location where it has one', () => {
    const request = { ...tableRequest(identifier), location: 's3://lake/here' };
    expect(createTableToWire(request)).toMatchObject({ location: 's3://lake/here' });
  });

  test('an append keeps every digit, says null for no parent, and flattens the ref', () => {
    const text = stringifyJson(
      commitTableToWire({
        identifier,
        requirements: [
          { type: 'assert-table-uuid', uuid: 'u' },
          { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: null },
        ],
        updates: [
          {
            action: 'add-snapshot',
            snapshot: {
              snapshotId: 1_478_606_832_469_747_373n,
              parentSnapshotId: 9_223_372_036_854_775_807n,
              sequenceNumber: 1n,
              timestampMs: 1_795_380_549_287,
              manifestList: 's3://lake/snap.avro',
              summary: { operation: 'append' },
              schemaId: 0,
            },
          },
          {
            action: 'set-snapshot-ref',
            refName: 'main',
            ref: { snapshotId: 1_478_606_832_469_747_373n, type: 'branch' },
          },
          { action: 'set-properties', updates: { 'p.state': '{"0":10}' } },
        ],
      }),
    );
    expect(text).toBe(
      '{"identifier":{"namespace":["db"],"name":"orders"},' +
        '"requirements":[{"type":"assert-table-uuid","uuid":"u"},' +
        '{"type":"assert-ref-snapshot-id","ref":"main","snapshot-id":null}],' +
        '"updates":[{"action":"add-snapshot","snapshot":{"snapshot-id":1478606832469747373,' +
        '"parent-snapshot-id":9223372036854775807,"sequence-number":1,' +
        '"timestamp-ms":1795380549287,"manifest-list":"s3://lake/snap.avro",' +
        '"summary":{"operation":"append"},"schema-id":0}},' +
        '{"action":"set-snapshot-ref","ref-name":"main","snapshot-id":1478606832469747373,' +
        String.raw`"type":"branch"},{"action":"set-properties","updates":{"p.state":"{\"0\":10}"}}]}`,
    );
  });

  test('a schema is added together with its last column id, which some servers demand', () => {
    const { updates } = commitTableToWire({
      identifier,
      requirements: [],
      updates: [{ action: 'add-schema', schema: { schemaId: 1, fields: [] }, lastColumnId: 9 }],
    });
    expect(updates).toEqual([
      {
        action: 'add-schema',
        schema: { type: 'struct', 'schema-id': 1, fields: [] },
        'last-column-id': 9,
      },
    ]);
  });
});
