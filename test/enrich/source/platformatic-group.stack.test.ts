import kafkajs from 'kafkajs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { EnrichError } from '../../../enrich/error.ts';
import type { GroupMember, Log } from '../../../enrich/source/log.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { endpoints } from '../../stack/endpoints.ts';

const kafka = new kafkajs.Kafka({
  clientId: 'group-test',
  brokers: [...endpoints.kafkaBrokers],
  logLevel: kafkajs.logLevel.NOTHING,
});
const admin = kafka.admin();
const faults: EnrichError[] = [];
let topic = '';

beforeEach(async () => {
  await admin.connect();
  topic = `group-${process.pid}-${Date.now()}`;
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true });
});

afterEach(async () => {
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
});

/** A process of its own: a log and its member. */
async function join(instanceId?: string): Promise<GroupMember> {
  const log: Log = await openPlatformaticLog({
    brokers: endpoints.kafkaBrokers,
    clientId: 'group-test',
    random: Math.random,
    onFault: (fault) => faults.push(fault),
    partitionCheckMs: 500,
  });
  onTestFinished(() => log.close());
  const options = { groupId: topic, topic, clientId: 'group-test' };
  return log.joinGroup(instanceId === undefined ? options : { ...options, instanceId });
}

describe('a member of a consumer group', () => {
  it('is assigned the partitions that are added while it is joined, and so are the others', async () => {
    const first = await join();
    const second = await join('named');
    const all = () =>
      [...(first.assignment() ?? []), ...(second.assignment() ?? [])].toSorted((a, b) => a - b);
    await expect.poll(all, { timeout: 20_000 }).toEqual([0, 1]);
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
    await expect.poll(all, { timeout: 20_000 }).toEqual([0, 1, 2, 3, 4]);
    const generations = [first.generation(), second.generation()];
    await sleep(2000);
    expect([first.generation(), second.generation()]).toEqual(generations);
  });

  it('whose offsets are refused does not join again for them', async () => {
    const first = await join('its-name');
    const second = await join('its-name');
    // The broker knows the first no more, which has not heard of it yet.
    await first.commitOffsets(new Map([[0, 0n]])).catch(() => undefined);
    const generation = second.generation();
    await sleep(3000);
    expect(second.assignment()).toEqual([0, 1]);
    expect(second.generation()).toBe(generation);
  });

  it('whose name another process has taken ends as fenced, and lets the other be', async () => {
    const first = await join('one-name');
    expect(first.assignment()).toEqual([0, 1]);
    const second = await join('one-name');
    await expect
      .poll(() => errorOf(() => first.assignment()), { timeout: 20_000 })
      .toMatchObject({ kind: 'fenced', message: expect.stringContaining('state directory') });
    await sleep(3000);
    expect(second.assignment()).toEqual([0, 1]);
  });
});

function errorOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}
