import { rm } from 'node:fs/promises';
import kafkajs from 'kafkajs';
import { createHostedTopic } from '../../../connectors/fresh-topic.ts';
import type { RecordColumns } from '../../../enrich/source/log.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import type { ProducerRecord } from '../../../generate/kafka-producer.ts';
import { withFinding } from '../proof.ts';
import type { Kind, Proof, Round } from '../round.ts';

const streamPartitions = 6;

/** Deletes a topic and makes it again under its name, empty. */
async function recreate(round: Round, topic: string, numPartitions: number): Promise<void> {
  const { admin } = round;
  await admin.deleteTopics({ topics: [topic] });
  await round.until('the topic is gone', async () => !(await admin.listTopics()).includes(topic));
  await createHostedTopic(admin, { topic, numPartitions });
}

const recordsOf = async (round: Round): Promise<number> =>
  (await round.admin.fetchTopicOffsets(round.names.topic)).reduce(
    (sum, { high }) => sum + Number(high),
    0,
  );

/** The documented way on: another name reads the new log from its start into the same table. */
async function goOnUnderAnotherName(round: Round): Promise<void> {
  await round.configure((config) => {
    config.pipeline += '_2';
    config.kafka.group += '_2';
  });
}

/** The joins of earlier commits cannot be checked against a topic that holds other records now. */
async function goOnInAnotherTable(round: Round): Promise<void> {
  await round.configure((config) => {
    config.pipeline += '_2';
    config.kafka.group += '_2';
    config.table.name += '_2';
    config.table.dead_letter += '_2';
  });
}

function clicksRecreated(size: 'fewer' | 'as-many' | 'more', isRunning: boolean): Kind {
  const share = { fewer: 0.5, 'as-many': 1, more: 1.5 }[size];
  const words = { fewer: 'fewer', 'as-many': 'as many', more: 'more' }[size];
  return {
    name: `clicks-recreated-${size}`,
    does: `the clicks topic is deleted and made again with ${words} records ${isRunning ? 'under the pipeline' : 'while it is away'}`,
    promise: 'it stops with 78 and says how to go on; under another name it reads the new log too',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.load.pause();
      await round.caughtUp();
      if (!isRunning) await pipeline.stop('SIGTERM');
      const records = await recordsOf(round);
      await recreate(round, round.names.topic, streamPartitions);
      round.newLedger();
      await round.load.send(Math.floor(records * share));
      const stopping = isRunning ? pipeline : await round.start();
      await round.mustStop(stopping, { code: 78, says: /was recreated/ });
      const again = await round.start();
      await round.mustStop(again, { code: 78, says: /give it another name|another pipeline/ });
      await goOnUnderAnotherName(round);
    },
  };
}

const kinds: readonly Kind[] = [
  clicksRecreated('fewer', false),
  clicksRecreated('as-many', true),
  clicksRecreated('more', false),
  {
    name: 'position-below-log-start',
    does: 'retention deletes records that were never read',
    promise:
      'it stops with 78; --accept-gap goes on, counts them as filtered, and loses nothing else',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await pipeline.stop('SIGTERM');
      await round.sleep(4_000);
      await round.load.pause();
      const { topic } = round.names;
      const next = await round.position();
      const ends = await round.admin.fetchTopicOffsets(topic);
      const partitions = ends
        .filter(({ partition }) => partition % 2 === 0)
        .map(({ partition, high }) => ({
          partition,
          offset: String((BigInt(high) + (next.get(partition) ?? 0n)) / 2n),
        }));
      const records = partitions.map(
        ({ partition, offset }) => BigInt(offset) - (next.get(partition) ?? 0n),
      );
      lostByRetention.set(round.name, Number(records.reduce((sum, count) => sum + count, 0n)));
      await round.admin.deleteTopicRecords({ topic, partitions });
      await round.mustStop(await round.start(), { code: 78, says: /--accept-gap/ });
      await round.start({ flags: ['--accept-gap'] });
    },
    prove: proveGap,
  },
  {
    name: 'change-topic-recreated',
    does: "a dimension's topic is deleted and made again with all that it held, in other places",
    promise:
      'it stops with 78 and says how to go on; with the state deleted it builds it from the new topic',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.load.pause();
      await round.caughtUp();
      const topic = round.names.dimensionTopics['users'] ?? '';
      const { kept, partitions } = await readTopic(round, topic);
      await recreate(round, topic, partitions);
      const producer = await round.openProducer();
      await producer.send(topic, kept);
      await round.mustStop(pipeline, { code: 78, says: /recreated|deleted/ });
      await round.mustStop(await round.start(), { code: 78, says: /delete state.directory/ });
      await rm(round.stateDirectory, { recursive: true });
      await goOnInAnotherTable(round);
    },
  },
  {
    name: 'tombstones-compacted-away',
    does: 'rows are deleted while no pipeline runs, and compaction takes their tombstones too',
    promise:
      'the pipeline notices that its state is too old, builds it again, and joins none of the rows',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.load.pause();
      await round.caughtUp();
      await pipeline.stop('SIGTERM');
      await compactAway(round);
      await goOnInAnotherTable(round);
      const next = await round.start();
      await next.ready();
      if (/may have missed deletes/.test(next.output())) return;
      throw new Error(`the state was trusted:\n${next.output().slice(-2_000)}`);
    },
  },
];

/** Everything that a topic holds, to be written again. */
async function readTopic(
  { endpoints }: Round,
  topic: string,
): Promise<{ kept: ProducerRecord[]; partitions: number }> {
  const log = await openPlatformaticLog({
    brokers: endpoints.kafkaBrokers,
    clientId: 'chaos',
    random: Math.random,
    onFault: () => undefined,
  });
  try {
    const bounds = await log.bounds(topic);
    const kept: ProducerRecord[] = [];
    for (const [partition, { startOffset, endOffset }] of bounds) {
      const reader = await log.openReader();
      let nextOffset = startOffset;
      reader.assign([{ topic, partition, nextOffset }]);
      while (nextOffset < endOffset) {
        const take = (_t: string, _p: number, records: RecordColumns): void => {
          kept.push(...recordsIn(partition, records));
        };
        const progress = await reader.poll(take, { waitMsMax: 1_000, bytesMax: 1024 ** 2 });
        nextOffset = progress.at(-1)?.nextOffset ?? nextOffset;
      }
      await reader.close();
    }
    return { kept, partitions: bounds.size };
  } finally {
    await log.close();
  }
}

function recordsIn(partition: number, columns: RecordColumns): ProducerRecord[] {
  const { bytes, count, keyStart, keyLength, valueStart, valueLength } = columns;
  const slice = (start = 0, length = -1): Buffer | null =>
    length < 0 ? null : Buffer.from(bytes.slice(start, start + length));
  return Array.from({ length: count }, (_, row) => ({
    partition,
    key: slice(keyStart[row], keyLength[row]),
    value: slice(valueStart[row], valueLength[row]),
    timestamp: String(Date.now()),
  }));
}

/**
 * Writes tombstones for a third of the users and has the broker compact the topic until they are gone too. Segments
 * roll when records come later than `segment.ms`, and only those that have rolled are compacted.
 */
async function compactAway(round: Round): Promise<void> {
  const topic = round.names.dimensionTopics['users'] ?? '';
  await alter(round, topic, {
    'cleanup.policy': 'compact',
    'delete.retention.ms': '1000',
    'min.compaction.lag.ms': '0',
    'min.cleanable.dirty.ratio': '0.01',
    'segment.ms': '500',
  });
  const producer = await round.openProducer();
  const { kept } = await readTopic(round, topic);
  const keys = new Map(kept.map((record) => [record.key?.toString('hex') ?? '', record]));
  const doomed = [...keys.values()].filter((_record, index) => index % 3 === 0);
  await producer.send(
    topic,
    doomed.map((record) => ({ ...record, value: null, timestamp: String(Date.now()) })),
  );
  const doomedKeys = new Set(doomed.map(({ key }) => key?.toString('hex')));
  const spared = [...keys.values()].find(
    (record, index) => record.value !== null && index % 3 !== 0,
  );
  await round.until(
    'the tombstones are compacted away',
    async () => {
      // One record for each partition makes the segment roll.
      const partitions = [...new Set(kept.map(({ partition }) => partition))];
      const filler = { key: spared?.key ?? null, value: spared?.value ?? null };
      await producer.send(
        topic,
        partitions.map((partition) => ({ ...filler, partition, timestamp: String(Date.now()) })),
      );
      await round.sleep(2_000);
      const { kept: left } = await readTopic(round, topic);
      return !left.some(({ key }) => doomedKeys.has(key?.toString('hex')));
    },
    180_000,
  );
}

async function alter(round: Round, name: string, settings: Record<string, string>): Promise<void> {
  const configEntries = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
  const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name, configEntries }];
  await round.admin.alterConfigs({ validateOnly: false, resources });
}

/** By round: records that were deleted unread, which nobody can bring back. */
const lostByRetention = new Map<string, number>();

/** What the ledger misses must be what was deleted, and nothing else. */
async function proveGap(round: Round): Promise<Proof> {
  const proof = await round.prove();
  const deleted = lostByRetention.get(round.name) ?? 0;
  round.say(`${proof.lost} of ${deleted} deleted records are missing`);
  if (proof.lost === deleted && deleted > 0) return { ...proof, lost: 0 };
  return withFinding(proof, 'lost', `${deleted} records were deleted, ${proof.lost} are missing`);
}

export default kinds;
