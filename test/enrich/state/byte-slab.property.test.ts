import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteSlab } from '../../../enrich/state/byte-slab.ts';
import { SharedMemory } from '../../../enrich/state/shared-memory.ts';

const read = (slab: ByteSlab, id: number) => {
  const bytes = new Uint8Array(slab.length(id));
  slab.copyTo(id, bytes, 0);
  return bytes;
};

/** The memory as an image of it gives it back: the used words of each array. */
function reloaded(memory: SharedMemory): { slab: ByteSlab; memory: SharedMemory } {
  const fresh = new SharedMemory();
  const slab = new ByteSlab(fresh);
  for (const [index, array] of fresh.arrays.entries()) {
    const source = memory.arrays[index];
    if (source === undefined) throw new Error('assert: as many arrays as there were');
    array.reserve(source.length);
    array.usedBytes.set(source.usedBytes);
  }
  slab.refresh();
  return { slab, memory: fresh };
}

describe('a slab of byte strings', () => {
  it('has what was added and not removed, while chunks are emptied and used again', () => {
    const step = fc.record({
      id: fc.nat({ max: 60 }),
      length: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 3_000 })),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const slab = new ByteSlab(new SharedMemory());
        const model = new Map<number, Uint8Array>();
        for (const [at, { id, length }] of steps.entries()) {
          if (model.has(id)) slab.remove(id);
          model.delete(id);
          if (length === 0) continue;
          const bytes = Uint8Array.from({ length }, (_, i) => (at + i) & 0xff);
          slab.add(id, bytes, 0, length);
          model.set(id, bytes);
        }
        for (const [id, bytes] of model) {
          expect(read(slab, id)).toEqual(bytes);
          expect(slab.equals(id, bytes, 0, bytes.length)).toBe(true);
          expect(slab.equals(id, bytes, 0, bytes.length - 1)).toBe(false);
        }
      }),
    );
  });

  it('goes on from an image of it, whatever its chunks were when that was made', () => {
    const ids = 20_000;
    fc.assert(
      fc.property(fc.nat({ max: 40 }), fc.nat(), (length, seed) => {
        let random = seed;
        let memory = new SharedMemory();
        let slab = new ByteSlab(memory);
        const bytesOf = (id: number): Uint8Array => new Uint8Array(length).fill(id * 31);
        for (let id = 0; id < ids; id++) slab.add(id, bytesOf(id), 0, length);
        for (let round = 0; round < 20; round++) {
          for (let n = 0; n < ids / 10; n++) {
            random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
            const id = 1 + (random % (ids - 1));
            slab.remove(id);
            slab.add(id, bytesOf(id), 0, length);
          }
          ({ slab, memory } = reloaded(memory));
        }
        const wrong = Array.from({ length: ids }, (_, id) => id).filter(
          (id) => Buffer.compare(read(slab, id), bytesOf(id)) !== 0,
        );
        expect(wrong).toEqual([]);
      }),
      { numRuns: 10 },
    );
  });

  it('keeps its memory near what is alive when entries of all sizes come and go', () => {
    const slab = new ByteSlab(new SharedMemory());
    const lengths = new Map<number, number>();
    for (let i = 0; i < 400_000; i++) {
      const id = (i * 7_919) % 2_000;
      if (lengths.has(id)) slab.remove(id);
      const length = (i * 31) % 300;
      slab.add(id, new Uint8Array(length), 0, length);
      lengths.set(id, length);
    }
    const alive = [...lengths.values()].reduce((sum, length) => sum + length + 10, 0);
    expect(slab.bytes).toBeLessThan(alive * 4);
  });

  it('does not keep a chunk for one entry that stays among many that went', () => {
    const slab = new ByteSlab(new SharedMemory());
    const bytes = new Uint8Array(1_000);
    for (let stays = 1; stays <= 100; stays++) {
      slab.add(stays, bytes, 0, 100);
      for (let i = 0; i < 1_000; i++) {
        slab.add(0, bytes, 0, bytes.length);
        slab.remove(0);
      }
    }
    expect(slab.bytes).toBeLessThan(1024 * 1024);
  });

  it('holds an entry that is larger than a chunk, among small ones', () => {
    const slab = new ByteSlab(new SharedMemory());
    const large = new Uint8Array(6 * 1024 * 1024).fill(7);
    slab.add(0, Uint8Array.of(1), 0, 1);
    slab.add(1, large, 0, large.length);
    slab.add(2, Uint8Array.of(2), 0, 1);
    expect(Buffer.compare(read(slab, 1), large)).toBe(0);
    expect([read(slab, 0), read(slab, 2)]).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    const { bytes } = slab;
    for (const fill of [3, 4, 5]) {
      slab.remove(1);
      large.fill(fill);
      slab.add(1, large, 0, large.length);
      expect(Buffer.compare(read(slab, 1), large)).toBe(0);
    }
    expect(read(slab, 2)).toEqual(Uint8Array.of(2));
    expect(slab.bytes).toBe(bytes);
  });

  it('keeps its memory near what is alive while all entries get longer, and shorter again', () => {
    const slab = new ByteSlab(new SharedMemory());
    const lengths = Array.from({ length: 60 }, (_, i) => (i < 30 ? 4 + i * 100 : 6_004 - i * 100));
    for (const [round, length] of lengths.entries()) {
      for (let id = 0; id < 500; id++) {
        if (round > 0) slab.remove(id);
        slab.add(id, new Uint8Array(length).fill(id), 0, length);
      }
    }
    expect(read(slab, 77)).toEqual(new Uint8Array(104).fill(77));
    expect(slab.bytes).toBeLessThan(500 * 3_000 * 2.5);
  });
});
