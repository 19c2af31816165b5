import { endpoints } from '../../stack/endpoints.ts';
import { ALL_CODECS, openKafkaHarness } from './kafka-harness.ts';
import { kafkajsClient, openKafkajsLog } from './kafkajs-log.ts';
import { describeLogContract } from './log-contract.ts';

const openLog = () => openKafkajsLog(kafkajsClient(endpoints.kafkaBrokers));

describeLogContract('the log over kafkajs', () => openKafkaHarness(openLog), {
  topicIds: false,
  invisibleTail: false,
  wireBatches: false,
  // There is no maintained lz4 codec for kafkajs.
  codecs: ALL_CODECS.filter((codec) => codec !== 'lz4'),
});
