import { describe } from 'vitest';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { describeKeyValueStore } from './key-value-store-contract.ts';

describe('the in-memory store', () => {
  describeKeyValueStore(async () => openMemoryStore());
});
