import type { EnrichError } from '../../../enrich/error.ts';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { endpoints } from '../../stack/endpoints.ts';
import { ALL_CODECS, openKafkaHarness } from './kafka-harness.ts';
import { describeLogContract } from './log-contract.ts';

const faults: EnrichError[] = [];

const openLog = () =>
  openPlatformaticLog({
    brokers: endpoints.kafkaBrokers,
    clientId: 'source-test',
    random: Math.random,
    onFault: (fault) => faults.push(fault),
  });

describeLogContract('the log over @platformatic/kafka', () => openKafkaHarness(openLog), {
  topicIds: true,
  invisibleTail: true,
  wireBatches: true,
  codecs: ALL_CODECS,
});
