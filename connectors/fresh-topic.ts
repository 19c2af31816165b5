import { setTimeout as delay } from 'node:timers/promises';
import type { Admin, ITopicConfig } from 'kafkajs';

/** What a broker answers that has not heard of a topic's partitions or of their leader yet. */
const notHostedYet: ReadonlySet<unknown> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
]);
const triesMax = 40;
const pauseMs = 250;

/** Makes a topic unless it is there, and returns once it has leaders. Errors: those of kafkajs. */
export async function createHostedTopic(admin: Admin, topic: ITopicConfig): Promise<void> {
  // Waiting for leaders is ours: kafkajs gives up where the broker that it asks has not heard of the topic.
  await admin.createTopics({ topics: [topic], waitForLeaders: false });
  await whenHosted(() => admin.fetchTopicMetadata({ topics: [topic.topic] }));
}

/**
 * Repeats a request of kafkajs while brokers have not heard of a topic that another one has made, for some 10 s:
 * kafkajs gives up at once there, and it takes a moment, longest after a broker has come up.
 * The request must not mind being repeated. All other errors, and the last one, are the request's own.
 * Source: Kafka protocol guide, "Error Codes", which calls these three retriable.
 */
export async function whenHosted<T>(
  request: () => Promise<T>,
  sleep: (ms: number) => Promise<unknown> = delay,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await request();
    } catch (error) {
      if (!isNotHostedYet(error) || tries === triesMax) throw error;
      await sleep(pauseMs);
    }
  }
}

/** kafkajs wraps the broker's answer in errors of its own. */
function isNotHostedYet(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return notHostedYet.has((error as { type?: unknown }).type) || isNotHostedYet(error.cause);
}
