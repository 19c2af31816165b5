import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import { describeStore } from '../store/store-contract.ts';

describeStore('the in-memory store', async () => ({
  store: createMemoryStore({ nowMs: () => 1_795_380_549_287 }),
  root: 'memory://lake/contract/',
}));
