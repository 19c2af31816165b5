import { openKafkajsProducer } from '../../../enrich/source/kafkajs-producer.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { openKafkaProducer } from '../../../generate/kafka-producer.ts';
import { endpoints } from '../../stack/endpoints.ts';
import { describeReplayProducer, SMALL_BATCH_BYTES_MAX } from './replay-producer-contract.ts';

const brokers = endpoints.kafkaBrokers;

describeReplayProducer('the producer of replays over kafkajs', async () => {
  const pipeline = `replay_producer_${process.pid}_${Date.now() % 100_000}`;
  const topic = `${pipeline}-stream`;
  const smallTopic = `${pipeline}-small`;
  const setup = await openKafkaProducer({
    brokers,
    clientId: pipeline,
    compression: 'none',
    log: () => undefined,
  });
  await setup.ensureTopic(topic, 2, {});
  await setup.ensureTopic(smallTopic, 2, { 'max.message.bytes': String(SMALL_BATCH_BYTES_MAX) });
  await setup.close();
  const log = await openPlatformaticLog({
    brokers,
    clientId: pipeline,
    random: Math.random,
    onFault: () => undefined,
  });
  return {
    log,
    pipeline,
    topic,
    smallTopic,
    open: (transactionalId) =>
      openKafkajsProducer({ brokers, clientId: pipeline, transactionalId }),
    close: () => log.close(),
  };
});
