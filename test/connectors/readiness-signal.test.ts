import { describe, expect, it } from 'vitest';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { isStreamed, readinessSignal } from '../../connectors/readiness-signal.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { framed, goldenOf, goldenRecords, resolveGolden } from './golden-records.ts';

const schema = {
  type: 'record',
  name: 'Notification',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'aggregate_type', type: 'string' },
    { name: 'type', type: 'string' },
    { name: 'additional_data', type: ['null', { type: 'map', values: 'string' }] },
    { name: 'timestamp', type: 'long' },
  ],
};

const notification = (aggregateType: string, type: string, status: string): object => ({
  id: 'n',
  aggregate_type: aggregateType,
  type,
  additional_data: { connector_name: 'app', scanned_collection: 'public.users', status },
  timestamp: 1_795_380_108_753n,
});

const complete = { kind: 'initial-snapshot-complete' };
const scanned = { kind: 'table-scanned', collection: 'public.users' };
const added = { kind: 'table-complete', collection: 'public.users' };
const cases = [
  ['Initial Snapshot', 'COMPLETED', 'SUCCEEDED', complete],
  ['Initial Snapshot', 'SKIPPED', 'SUCCEEDED', complete],
  ['Initial Snapshot', 'STARTED', 'SUCCEEDED', undefined],
  ['Initial Snapshot', 'TABLE_SCAN_COMPLETED', 'SUCCEEDED', scanned],
  ['Initial Snapshot', 'TABLE_SCAN_COMPLETED', 'SQL_EXCEPTION', undefined],
  ['Initial Snapshot', 'ABORTED', 'SUCCEEDED', undefined],
  ['Incremental Snapshot', 'TABLE_SCAN_COMPLETED', 'SUCCEEDED', added],
  ['Incremental Snapshot', 'TABLE_SCAN_COMPLETED', 'EMPTY', added],
  ['Incremental Snapshot', 'COMPLETED', 'SUCCEEDED', undefined],
] as const;

describe('a notification', () => {
  it.each(cases)('%s %s with status %s tells %o', (aggregateType, type, status, signal) => {
    const value = notification(aggregateType, type, status);
    const avro = framed(3, avscType(schema).toBuffer(value));
    expect(readinessSignal({ key: null, value: avro }, () => schema)).toEqual(signal);
    const json = JSON.stringify({ schema: null, payload: { ...value, timestamp: 1 } });
    const bytes = new TextEncoder().encode(json);
    expect(readinessSignal({ key: null, value: bytes }, () => undefined)).toEqual(signal);
  });

  it('that cannot be read tells nothing', () => {
    for (const value of [
      null,
      new Uint8Array(),
      framed(3, new Uint8Array([9])),
      framed(4, new Uint8Array()),
    ]) {
      const resolve = (id: number): object | undefined => (id === 3 ? schema : undefined);
      expect(readinessSignal({ key: null, value }, resolve)).toBeUndefined();
    }
  });

  it('is not what a heartbeat is', () => {
    const heartbeat = goldenRecords.find(({ topic }) => topic.startsWith('__debezium-heartbeat'));
    expect(
      readinessSignal(heartbeat?.record ?? { key: null, value: null }, resolveGolden),
    ).toBeUndefined();
  });
});

describe('a change', () => {
  const decoder = createChangeDecoder({ resolve: resolveGolden });

  it.each([
    ['users-r', false],
    ['users-c', true],
    ['users-u', true],
    ['users-d', true],
    ['devices-truncate', true],
    ['users-tombstone', false],
  ])('of %s was streamed: %s', (sample, streamed) => {
    for (const { record } of goldenOf(sample)) {
      expect(isStreamed(decoder.decode(record))).toBe(streamed);
    }
  });
});
