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

  it('reads what was appended, in order, and nothing of a missing topic', async () => {
    const admin = await open();
    const topic = `${prefix}.records`;
    try {
      expect(await admin.readRecords(topic)).toEqual([]);
      const settings = { 'cleanup.policy': 'delete' };
      await admin.createTopic({ topic, partitions: 1, replicationFactor: 1, settings });
      expect(await admin.readRecords(topic)).toEqual([]);
      expect(await admin.wasWritten(topic)).toBe(false);
      await admin.appendRecord(topic, { key: 'a', value: '1' });
      await admin.appendRecord(topic, { key: 'a', value: '2' });
      const records = await admin.readRecords(topic);
      expect(records.map(({ key, value }) => `${String(key)}${String(value)}`)).toEqual([
        'a1',
        'a2',
      ]);
      expect(await admin.wasWritten(topic)).toBe(true);
    } finally {
      await admin.close();
    }
  });
}
