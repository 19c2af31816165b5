import { describe } from 'vitest';
import { createMemoryTopicAdmin } from '../../connectors/memory-topic-admin.ts';
import { topicAdminContract } from './topic-admin-contract.ts';

describe('topics in memory', () => {
  topicAdminContract(async () => createMemoryTopicAdmin(), 'test');
});
