import { describe, expect, it } from 'vitest';
import { createCodecCache } from '../../schemas/codec-cache.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { contractOf } from './avro-encoding.ts';

const contract = contractOf([{ name: 'a', type: 'int' }]);

function open(schemas: Map<number, AvroObject>) {
  const state = { nowMs: 0, asked: [] as number[], away: false };
  const cache = createCodecCache({
    contract,
    now: () => state.nowMs,
    registry: {
      async schemaById(schemaId) {
        state.asked.push(schemaId);
        if (state.away) throw new ContractError('unavailable', 'away');
        return schemas.get(schemaId) ?? 'unknown';
      },
    },
  });
  return { cache, state };
}

const known = (): Map<number, AvroObject> => new Map([[7, contract.avroSchema]]);

describe('decoders by schema id', () => {
  it('are absent until loaded, and asked for once', async () => {
    const { cache, state } = open(known());
    expect(cache.decoder(7)).toBeUndefined();
    await Promise.all([cache.load(7), cache.load(7)]);
    const decoder = cache.decoder(7);
    expect(decoder).toBe(cache.decoder(7));
    expect(state.asked).toEqual([7]);
    const buffer = createRowBuffer(contract, 1);
    if (decoder === undefined || decoder === 'unknown') throw new Error('expected a decoder');
    expect(decoder.append(new Uint8Array([4]), 0, 1, buffer)).toBeUndefined();
  });

  it('are unknown for a while, then asked for again: a schema may come late', async () => {
    const schemas = known();
    const { cache, state } = open(schemas);
    await cache.load(8);
    expect(cache.decoder(8)).toBe('unknown');
    state.nowMs = 29_999;
    expect(cache.decoder(8)).toBe('unknown');
    state.nowMs = 30_000;
    expect(cache.decoder(8)).toBeUndefined();
    await cache.load(8);
    expect(cache.decoder(8)).toBe('unknown');
    schemas.set(8, contract.avroSchema);
    await cache.load(8);
    expect(cache.decoder(8)).toBeTypeOf('object');
  });

  it('are not called unknown because the registry is away', async () => {
    const { cache, state } = open(known());
    state.away = true;
    await expect(cache.load(7)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(cache.decoder(7)).toBeUndefined();
    state.away = false;
    await cache.load(7);
    expect(cache.decoder(7)).toBeTypeOf('object');
  });

  it('survive a restart without the registry, as plain JSON', async () => {
    const first = open(known());
    await first.cache.load(7);
    await first.cache.load(9);
    const kept = JSON.parse(JSON.stringify(first.cache.snapshotEntries())) as ReturnType<
      typeof first.cache.snapshotEntries
    >;
    const second = open(new Map());
    second.cache.restore(kept);
    expect(second.cache.decoder(7)).toBeTypeOf('object');
    expect(second.cache.decoder(9)).toBeUndefined();
    expect(second.state.asked).toEqual([]);
  });

  it('are bounded: the oldest makes room', () => {
    const { cache } = open(new Map());
    const entries = Array.from({ length: 1_001 }, (_, schemaId) => ({
      schemaId,
      avroSchema: contract.avroSchema,
    }));
    cache.restore(entries);
    expect(cache.decoder(0)).toBeUndefined();
    expect(cache.decoder(1)).toBeTypeOf('object');
    expect(cache.snapshotEntries()).toHaveLength(1_000);
  });
});
