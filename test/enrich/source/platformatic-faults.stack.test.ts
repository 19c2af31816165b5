import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { EnrichError } from '../../../enrich/error.ts';
import type { Log, LogReader } from '../../../enrich/source/log.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { endpoints } from '../../stack/endpoints.ts';
import { openBrokerProxy, type BrokerProxy } from './broker-proxy.ts';
import { openKafkaHarness } from './kafka-harness.ts';
import type { LogHarness } from './log-contract.ts';
import { rowsOf } from './rows.ts';

const [broker = ''] = endpoints.kafkaBrokers;

async function readInto(values: string[], reader: LogReader, waitMsMax: number): Promise<void> {
  await reader.poll(
    (_topic, _partition, columns) => {
      for (const { value } of rowsOf(columns)) values.push(value ?? '');
    },
    { waitMsMax, bytesMax: 200 },
  );
}

describe('the log over @platformatic/kafka, when the broker cannot be reached,', () => {
  const open = {} as { harness: LogHarness; proxy: BrokerProxy; log: Log; faults: EnrichError[] };

  beforeEach(async () => {
    open.proxy = await openBrokerProxy(broker);
    open.faults = [];
    open.harness = await openKafkaHarness(() =>
      openPlatformaticLog({
        brokers: [open.proxy.address],
        clientId: 'source-faults',
        random: Math.random,
        onFault: (fault) => open.faults.push(fault),
      }),
    );
    open.log = await open.harness.open();
  });
  afterEach(async () => {
    await open.log.close();
    await open.harness.close();
    await open.proxy.close();
  });

  async function newTopic(partitionCount: number): Promise<string> {
    const topic = open.harness.topicName();
    await open.harness.createTopic(topic, partitionCount);
    onTestFinished(() => open.harness.deleteTopic(topic));
    return topic;
  }

  async function write(topic: string, from: number, to: number): Promise<void> {
    for (let i = from; i < to; i += 1) {
      await open.harness.append(topic, i % 2, [{ key: null, value: `v${i}` }]);
    }
  }

  it('reads on after lost connections, and neither loses nor doubles a record', async () => {
    const topic = await newTopic(2);
    const reader = await open.log.openReader();
    reader.assign([0, 1].map((partition) => ({ topic, partition, nextOffset: 0n })));
    const values: string[] = [];
    const writing = write(topic, 0, 200);
    for (let turn = 0; turn < 400 && values.length < 200; turn += 1) {
      await readInto(values, reader, 200);
      if (turn % 5 === 4) open.proxy.drop();
    }
    await writing;
    expect(values.toSorted()).toEqual(Array.from({ length: 200 }, (_, i) => `v${i}`).toSorted());
    expect(open.faults.length).toBeGreaterThan(0);
    expect(new Set(open.faults.map(({ kind }) => kind))).toEqual(new Set(['unavailable']));
  });

  it('keeps to the wait of a poll while the broker is away, and backs off', async () => {
    const topic = await newTopic(2);
    const reader = await open.log.openReader();
    reader.assign([{ topic, partition: 0, nextOffset: 0n }]);
    await readInto([], reader, 200);
    open.proxy.refuse();
    const start = performance.now();
    await readInto([], reader, 3000);
    expect(performance.now() - start).toBeGreaterThan(2900);
    expect(performance.now() - start).toBeLessThan(4000);
    expect(open.faults.length).toBeGreaterThan(2);
    expect(open.faults.length).toBeLessThan(20);
    open.proxy.admit();
    await open.harness.append(topic, 0, [{ key: null, value: 'back' }]);
    const values: string[] = [];
    for (let turn = 0; turn < 30 && values.length === 0; turn += 1) {
      await readInto(values, reader, 500);
    }
    expect(values).toEqual(['back']);
  });

  it('answers unavailable to questions, and answers them again afterwards', async () => {
    const topic = await newTopic(2);
    await open.log.bounds(topic);
    open.proxy.refuse();
    await expect(open.log.describeTopic(topic)).rejects.toMatchObject({ kind: 'unavailable' });
    await expect(open.log.bounds(topic)).rejects.toMatchObject({ kind: 'unavailable' });
    open.proxy.admit();
    expect((await open.log.bounds(topic)).size).toBe(2);
  });

  it('keeps its membership over lost connections', async () => {
    const topic = await newTopic(2);
    const groupId = `${topic}-group`;
    const member = await open.log.joinGroup({ groupId, topic, clientId: 'source-faults' });
    expect(member.assignment()).toEqual([0, 1]);
    open.proxy.refuse();
    await sleep(3000);
    open.proxy.admit();
    await sleep(3000);
    await expect.poll(() => member.assignment(), { timeout: 20_000 }).toEqual([0, 1]);
    await member.commitOffsets(new Map([[1, 0n]]));
    expect((await open.harness.committedOffsets(groupId, topic)).get(1)).toBe(0n);
  });

  it('leaves no connection behind', async () => {
    const topic = await newTopic(2);
    const reader = await open.log.openReader();
    reader.assign([{ topic, partition: 0, nextOffset: 0n }]);
    await readInto([], reader, 100);
    await open.log.joinGroup({ groupId: `${topic}-group`, topic, clientId: 'source-faults' });
    await open.log.bounds(topic);
    expect(open.proxy.connectionCount()).toBeGreaterThan(2);
    await open.log.close();
    await expect.poll(() => open.proxy.connectionCount()).toBe(0);
  });
});

describe('openPlatformaticLog', () => {
  const options = { clientId: 'source-faults', random: Math.random, onFault: () => {} };

  it('is unavailable when no broker answers', async () => {
    const log = openPlatformaticLog({ ...options, brokers: ['127.0.0.1:1'] });
    await expect(log).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('tries the next broker when one does not answer', async () => {
    const log = await openPlatformaticLog({ ...options, brokers: ['127.0.0.1:1', broker] });
    expect(log.crc32cImplementation).toBe('native');
    await log.close();
  });

  it('names a broker address that is none', async () => {
    const log = openPlatformaticLog({ ...options, brokers: ['localhost'] });
    await expect(log).rejects.toMatchObject({ kind: 'config' });
    await expect(log).rejects.toThrow("'localhost' is not of the form host:port");
    await expect(log).rejects.toBeInstanceOf(EnrichError);
  });
});
