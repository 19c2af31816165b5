import { expect, it } from 'vitest';
import type { TopicAdmin } from '../../connectors/kafka-admin.ts';

/** What every TopicAdmin does. Topics are named with the given prefix. */
export function topicAdminContract(open: () => Promise<TopicAdmin>, prefix: string): void {
  it('creates, describes and alters topics, and keeps the settings it is not told of', async () => {
    const admin = await open();
    const topic = `${prefix}.compacted`;
    const missing = `${prefix}.missing`;
    try {
      await admin.createTopic({
        topic,
        partitions: 3,
        replicationFactor: 1,
        settings: { 'cleanup.policy': 'compact', 'segment.ms': '123456' },
      });
      await admin.alterTopic(topic, { 'cleanup.policy': 'delete', 'retention.ms': '777' });
      const states = await admin.describeTopics([topic, missing]);
      expect([...states.keys()]).toEqual([topic]);
      expect(states.get(topic)?.partitions).toBe(3);
      const settings = ['cleanup.policy', 'segment.ms', 'retention.ms'].map((name) =>
        states.get(topic)?.settings.get(name),
      );
      expect(settings).toEqual(['delete', '123456', '777']);
    } finally {
      await admin.close();
    }
  });
}
