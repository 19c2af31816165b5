import type { logCreator } from 'kafkajs';

/** kafkajs tells each answer that carries an error code, and then repeats the request or throws. */
const ANSWER = /^Response /;

/**
 * Hands what kafkajs logs to `tell`, a line each, with the reason; without the answers of brokers, which its caller
 * meets as errors where no repetition helps.
 */
export function kafkajsLogTo(tell: (line: string) => void): logCreator {
  return () =>
    ({ log }) => {
      const { message, error } = log;
      if (ANSWER.test(message)) return;
      tell(typeof error === 'string' ? `Kafka: ${message}: ${error}` : `Kafka: ${message}`);
    };
}
