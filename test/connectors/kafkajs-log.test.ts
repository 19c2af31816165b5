import kafkajs from 'kafkajs';
import { expect, it } from 'vitest';
import { kafkajsLogTo } from '../../connectors/kafkajs-log.ts';

function loggerOf(lines: string[]): kafkajs.Logger {
  const logLevel = kafkajs.logLevel.ERROR;
  const logCreator = kafkajsLogTo((line) => lines.push(line));
  return new kafkajs.Kafka({ brokers: ['127.0.0.1:1'], logLevel, logCreator }).logger();
}

it('what kafkajs logs comes as a line with the reason', () => {
  const lines: string[] = [];
  const logger = loggerOf(lines);
  logger.error('Failed to connect to broker, reconnecting', { retryCount: 1, retryTime: 300 });
  logger.error('Crash', { error: 'the group is gone', correlationId: 7 });
  expect(lines).toEqual([
    'Kafka: Failed to connect to broker, reconnecting',
    'Kafka: Crash: the group is gone',
  ]);
});

it('answers that it repeats the request after, or throws, are no lines', () => {
  const lines: string[] = [];
  const error = 'The coordinator is loading and hence can not process requests for this group';
  loggerOf(lines).error('Response InitProducerId(key: 22, version: 1)', { error, size: 24 });
  expect(lines).toEqual([]);
});
