import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it, onTestFinished } from 'vitest';
import { endpoints } from '../../stack/endpoints.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { ALL_CODECS, openKafkaHarness } from './kafka-harness.ts';
import type { ReadInThread } from './read-in-thread.ts';
import type { Row } from './rows.ts';

it('the log over @platformatic/kafka reads every codec in a worker thread, with native checksums', async () => {
  const harness = await openKafkaHarness(() =>
    openPlatformaticLog({
      brokers: endpoints.kafkaBrokers,
      clientId: 'source-thread-test',
      random: Math.random,
      onFault: () => undefined,
    }),
  );
  onTestFinished(() => harness.close());
  const topic = harness.topicName();
  await harness.createTopic(topic, 1);
  for (const codec of ALL_CODECS) {
    await harness.append(topic, 0, [{ key: codec, value: `by ${codec}` }], codec);
  }
  const thread = new Worker(new URL('read-in-thread.ts', import.meta.url), {
    workerData: {
      brokers: endpoints.kafkaBrokers,
      topic,
      rows: ALL_CODECS.length,
    } satisfies ReadInThread,
  });
  const [answer] = (await once(thread, 'message')) as [{ rows: Row[]; crc32c: string }];
  expect(answer.rows.map(({ key, value, offset }) => ({ key, value, offset }))).toEqual(
    ALL_CODECS.map((codec, at) => ({ key: codec, value: `by ${codec}`, offset: BigInt(at) })),
  );
  expect(answer.crc32c).toBe('native');
});
