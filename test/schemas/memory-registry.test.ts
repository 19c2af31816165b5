import { describe } from 'vitest';
import { createMemoryRegistry } from '../../schemas/memory-registry.ts';
import { registryContract } from './registry-contract.ts';

describe('a registry in memory', () => {
  registryContract(createMemoryRegistry, 'test');
});
