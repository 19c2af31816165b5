import { describe, expect, it } from 'vitest';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { readinessOfChange, readinessSignal } from '../../connectors/readiness-signal.ts';
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

const notification = (aggregateType: string, type: string): object => ({
  id: 'n',
  aggregate_type: aggregateType,
  type,
  additional_data: { connector_name: 'app' },
  timestamp: 1_795_380_108_753n,
});

const cases = [
  ['Initial Snapshot', 'COMPLETED', 'initial-snapshot-complete'],
  ['Initial Snapshot', 'SKIPPED', 'initial-snapshot-complete'],
  ['Initial Snapshot', 'STARTED', undefined],
  ['Initial Snapshot', 'TABLE_SCAN_COMPLETED', undefined],
  ['Initial Snapshot', 'ABORTED', undefined],
  ['Incremental Snapshot', 'COMPLETED', undefined],
] as const;

describe('a notification', () => {
  it.each(cases)('%s %s tells %s', (aggregateType, type, signal) => {
    const value = notification(aggregateType, type);
    const avro = framed(3, avscType(schema).toBuffer(value));
    expect(readinessSignal({ key: null, value: avro }, () => schema)).toBe(signal);
    const json = JSON.stringify({ schema: null, payload: { ...value, timestamp: 1 } });
    const bytes = new TextEncoder().encode(json);
    expect(readinessSignal({ key: null, value: bytes }, () => undefined)).toBe(signal);
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
    ['users-r', undefined],
    ['users-c', 'streaming'],
    ['users-u', 'streaming'],
    ['users-d', 'streaming'],
    ['devices-truncate', 'streaming'],
    ['users-tombstone', undefined],
  ])('of %s tells %s', (sample, signal) => {
    for (const { record } of goldenOf(sample)) {
      expect(readinessOfChange(decoder.decode(record))).toBe(signal);
    }
  });
});
