import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../enrich/state/byte-writer.ts';
import { columnCodec } from '../../../enrich/state/column-codec.ts';
import { attachProjection, createProjection } from '../../../enrich/state/hash-projection.ts';
import type {
  ColumnSlices,
  KeyKind,
  MutableProjection,
} from '../../../enrich/state/hash-projection.ts';
import type { Projection } from '../../../enrich/state/projection.ts';
import { hashBytes, hashInt64 } from '../../../enrich/state/row-keys.ts';

type Row = { name: string | null; size: bigint | null };
const columns = ['string', 'long'] as const;

function keyBytes(kind: KeyKind, key: bigint): Uint8Array {
  const writer = new ByteWriter(16);
  if (kind === 'int64') writer.orderedInt64(key);
  else writer.text(`key-${key}`);
  return writer.bytes.slice(0, writer.length);
}

function slicesOf(row: Row): ColumnSlices {
  const writer = new ByteWriter(64);
  const starts = new Int32Array(2);
  const lengths = new Int32Array(2).fill(-1);
  for (const [index, value] of [row.name, row.size].entries()) {
    if (value === null) continue;
    const before = writer.length;
    columnCodec(columns[index] ?? 'string').write(writer, value);
    starts[index] = before + 1;
    lengths[index] = writer.length - before - 1;
  }
  return { bytes: writer.bytes, starts, lengths };
}

function upsert(projection: MutableProjection, key: Uint8Array, row: Row): number {
  return projection.upsert({ bytes: key, start: 0, length: key.length }, slicesOf(row));
}

function removeKey(projection: MutableProjection, key: Uint8Array): void {
  const slot = projection.find(key, 0, key.length);
  if (slot >= 0) projection.remove(slot);
}

function probe(projection: Projection, kind: KeyKind, keys: readonly bigint[]): Int32Array {
  const out = new Int32Array(keys.length);
  const valid = new Uint8Array(keys.length).fill(1);
  if (kind === 'int64') {
    const words = new Int32Array(BigInt64Array.from(keys).buffer);
    projection.probeInt64({ words, valid, count: keys.length }, out);
    return out;
  }
  const slices = keys.map((key) => keyBytes(kind, key));
  const offsets = new Int32Array(keys.length + 1);
  for (const [i, slice] of slices.entries()) offsets[i + 1] = (offsets[i] ?? 0) + slice.length;
  projection.probeBytes({ bytes: Buffer.concat(slices), offsets, valid, count: keys.length }, out);
  return out;
}

function rowAt(projection: Projection, slot: number): Row {
  const codes = columns.map(() => new Int32Array(1));
  projection.gatherCodes(Int32Array.of(slot), codes);
  const at = (column: number) =>
    projection.dictionary(column).value(Math.max(codes[column]?.[0] ?? 0, 0));
  return { name: at(0) as string | null, size: at(1) as bigint | null };
}

/** Keys for which the projection and the model differ, and those that it must not have but has. */
function differences(
  projection: Projection,
  kind: KeyKind,
  { model, absent }: { model: ReadonlyMap<bigint, Row>; absent: readonly bigint[] },
): bigint[] {
  const keys = [...model.keys()];
  const slots = probe(projection, kind, keys);
  const wrong = keys.filter((key, i) => {
    const found = slots[i] ?? -1;
    const row = found < 0 ? undefined : rowAt(projection, found);
    const wanted = model.get(key);
    return row?.name !== wanted?.name || row?.size !== wanted?.size;
  });
  const missing = absent.filter((key) => !model.has(key));
  const answers = probe(projection, kind, missing);
  return [...wrong, ...missing.filter((_, i) => answers[i] !== -1)];
}

const rowValue = fc.record({
  name: fc.option(fc.oneof(fc.constantFrom('', 'a', 'b'), fc.string({ maxLength: 80 }))),
  size: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
});
const keyValue = fc.oneof(
  fc.bigInt({ min: 0n, max: 40n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -1n, 2n ** 32n, 2n ** 31n, -(2n ** 31n)),
);

function failHalfway(): never {
  throw new Error('half done');
}

describe.each<KeyKind>(['int64', 'bytes'])('a projection by %s', (kind) => {
  it('equals a map after any sequence of upserts and removals', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ key: keyValue, row: rowValue }) },
      { weight: 2, arbitrary: fc.record({ key: keyValue, row: fc.constant(undefined) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const projection = createProjection({ keyKind: kind, columns });
        const model = new Map<bigint, Row>();
        for (const { key, row } of steps) {
          if (row === undefined) {
            removeKey(projection, keyBytes(kind, key));
            model.delete(key);
          } else {
            upsert(projection, keyBytes(kind, key), row);
            model.set(key, row);
          }
        }
        expect(
          differences(projection, kind, { model, absent: steps.map(({ key }) => key) }),
        ).toEqual([]);
        expect(projection.rowCount).toBe(model.size);
      }),
    );
  });

  it('equals a map for whoever attaches to it, however it has grown', () => {
    const step = fc.record({
      key: fc.bigInt({ min: 0n, max: 400n }),
      row: fc.option(rowValue, { nil: undefined, freq: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const projection = createProjection({ keyKind: kind, columns });
        const model = new Map<bigint, Row>();
        for (const { key, row } of steps) {
          projection.change(() => {
            // A hundred rows at a time, so that segments, chunks and buffers grow between two looks.
            for (let i = 0n; i < 100n; i++) {
              const own = key + i * 401n;
              if (row === undefined) removeKey(projection, keyBytes(kind, own));
              else upsert(projection, keyBytes(kind, own), { ...row, name: `${row.name} ${i}` });
              if (row === undefined) model.delete(own);
              else model.set(own, { ...row, name: `${row.name} ${i}` });
            }
          });
          const view = attachProjection(structuredClone(projection.memory()));
          expect(differences(view, kind, { model, absent: [key, key + 1n] })).toEqual([]);
          expect(view.rowCount).toBe(model.size);
          expect(view.sequence()).toBe(projection.sequence());
        }
      }),
      { numRuns: 20 },
    );
  });

  it('has an odd sequence while it changes, another one after it, and for ever after a change that failed', () => {
    const projection = createProjection({ keyKind: kind, columns });
    const attached = attachProjection(projection.memory());
    const before = attached.sequence();
    projection.change(() => expect(attached.sequence() % 2).toBe(1));
    const after = attached.sequence();
    expect([before % 2, after % 2, after === before]).toEqual([0, 0, false]);
    expect(() => projection.change(failHalfway)).toThrow('half done');
    expect(attached.sequence() % 2).toBe(1);
    projection.adopt(createProjection({ keyKind: kind, columns }));
    expect(projection.sequence() % 2).toBe(0);
  });

  it('equals a map after it has grown to 60,000 rows, shrunk and grown again', () => {
    const projection = createProjection({ keyKind: kind, columns });
    const model = new Map<bigint, Row>();
    const fill = (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        const key = BigInt(i) * 0x1_0000_0001n;
        const row = { name: `name-${i % 5_000}`, size: i % 7 === 0 ? null : BigInt(i) };
        upsert(projection, keyBytes(kind, key), row);
        model.set(key, row);
      }
    };
    fill(0, 60_000);
    expect(differences(projection, kind, { model, absent: [-5n, 1n, 2n ** 40n] })).toEqual([]);
    expect(projection.rowCount).toBe(model.size);
    const bytesFull = projection.bytes;
    for (const key of [...model.keys()].filter((_, i) => i % 10 !== 0)) {
      removeKey(projection, keyBytes(kind, key));
      model.delete(key);
    }
    expect(differences(projection, kind, { model, absent: [0x1_0000_0001n] })).toEqual([]);
    expect(projection.rowCount).toBe(model.size);
    fill(60_000, 110_000);
    expect(differences(projection, kind, { model, absent: [0x1_0000_0001n] })).toEqual([]);
    expect(projection.rowCount).toBe(model.size);
    // Slots, codes and slab space of removed rows were used again.
    expect(projection.bytes).toBeLessThan(bytesFull * 1.5);
  });

  it('keeps the slot of a row while its values change, and says which keys are shared', () => {
    const projection = createProjection({ keyKind: kind, columns });
    const slots = [1n, 2n, 3n].map((key) =>
      upsert(projection, keyBytes(kind, key), { name: 'a', size: key }),
    );
    for (let i = 0; i < 1_000; i++) {
      expect(upsert(projection, keyBytes(kind, 2n), { name: `n${i}`, size: null })).toBe(slots[1]);
    }
    projection.setShared(slots[1] ?? -1, true);
    expect(slots.map((slot) => projection.isShared(slot))).toEqual([false, true, false]);
    projection.remove(slots[1] ?? -1);
    const again = upsert(projection, keyBytes(kind, 9n), { name: null, size: null });
    expect(again).toBe(slots[1]);
    expect(projection.isShared(again)).toBe(false);
    expect(rowAt(projection, again)).toEqual({ name: null, size: null });
  });

  it('holds no more values than its rows have, whatever passed through', () => {
    const projection = createProjection({ keyKind: kind, columns });
    for (let i = 0; i < 50_000; i++) {
      const row = { name: `some longer text ${i}`, size: BigInt(i) };
      upsert(projection, keyBytes(kind, BigInt(i % 10)), row);
    }
    expect(projection.dictionary(0).size).toBeLessThanOrEqual(12);
    expect(projection.bytes).toBeLessThan(2_000_000);
  });

  it('answers -1 for invalid keys without looking at them', () => {
    const projection = createProjection({ keyKind: kind, columns });
    upsert(projection, keyBytes(kind, 0n), { name: 'x', size: null });
    const out = new Int32Array(2);
    const valid = Uint8Array.of(0, 1);
    if (kind === 'int64') projection.probeInt64({ words: new Int32Array(4), valid, count: 2 }, out);
    else {
      const bytes = keyBytes(kind, 0n);
      projection.probeBytes(
        { bytes, offsets: Int32Array.of(0, 0, bytes.length), valid, count: 2 },
        out,
      );
    }
    expect([...out]).toEqual([-1, 0]);
  });
});

/** Which keys are found with their own row, all of them and after every second one was removed. */
function findable(kind: KeyKind, keys: readonly Uint8Array[]) {
  const projection = createProjection({ keyKind: kind, columns });
  for (const [i, key] of keys.entries()) upsert(projection, key, { name: `${i}`, size: null });
  const all = keys.map((key) => rowAt(projection, projection.find(key, 0, key.length)).name);
  for (const key of keys.filter((_, i) => i % 2 === 0)) removeKey(projection, key);
  const left = keys.flatMap((key, i) => (projection.find(key, 0, key.length) >= 0 ? [i] : []));
  return { all, left, rowCount: projection.rowCount };
}

function allFound(count: number) {
  const indexes = Array.from({ length: count }, (_, i) => i);
  const left = indexes.filter((i) => i % 2 === 1);
  return { all: indexes.map(String), left, rowCount: left.length };
}

/** The hash is a bijection of `low ^ high * factor`, so the low word can undo the high one. */
const lowOf = (high: number) => (Math.imul(high, 0x9e37_79b1) ^ 77) >>> 0;

// INVARIANTS.md 13
describe('keys of one hash', () => {
  it('are told apart: more integers of one hash than a segment has room for', () => {
    const keys = Array.from({ length: 12_400 }, (_, high) =>
      keyBytes('int64', (BigInt(high) << 32n) | BigInt(lowOf(high))),
    );
    expect(new Set(keys.map((_, high) => hashInt64(lowOf(high), high))).size).toBe(1);
    expect(findable('int64', keys.slice(0, 2_000))).toEqual(allFound(2_000));
    const projection = createProjection({ keyKind: 'int64', columns });
    for (const key of keys) upsert(projection, key, { name: null, size: null });
    expect(projection.rowCount).toBe(12_400);
    expect(keys.filter((key, i) => projection.find(key, 0, 8) !== i)).toEqual([]);
  }, 30_000);

  it('are told apart by the high word alone', () => {
    const keys = Array.from({ length: 5_000 }, (_, high) =>
      keyBytes('int64', (BigInt(high - 2_500) << 32n) | 5n),
    );
    expect(findable('int64', keys)).toEqual(allFound(5_000));
  });

  it('are told apart: pairs of texts with one hash', () => {
    const byHash = new Map<number, Uint8Array>();
    const colliding: Uint8Array[] = [];
    for (let i = 0; i < 300_000; i++) {
      const key = keyBytes('bytes', BigInt(i));
      const hash = hashBytes(key, 0, key.length);
      const other = byHash.get(hash);
      if (other === undefined) byHash.set(hash, key);
      else colliding.push(other, key);
    }
    expect(colliding.length).toBeGreaterThan(4);
    expect(findable('bytes', colliding)).toEqual(allFound(colliding.length));
  });

  it('are told apart: keys that are the beginning of one another, and keys with zero bytes', () => {
    const keys = ['', '\0', '\0\0', 'a', 'a\0', 'ab', 'abc', 'abcd', 'abcde', 'abcd\0'];
    const encoded = keys.map((key) => new TextEncoder().encode(key));
    expect(findable('bytes', encoded)).toEqual(allFound(keys.length));
  });
});

/** A projection of so many columns of text. */
const ofTexts = (count: number) => {
  const many = Array.from({ length: count }, () => 'string' as const);
  return createProjection({ keyKind: 'int64', columns: many });
};

describe('a projection of many columns', () => {
  it('has a bound, which is told as what it is', () => {
    expect(ofTexts(450).rowCount).toBe(0);
    expect(() => ofTexts(600).rowCount).toThrow(
      expect.objectContaining({
        kind: 'config',
        message: expect.stringMatching(/too many columns/),
      }),
    );
  });
});

describe('a dictionary', () => {
  it('gives its values and their bytes', () => {
    const projection = createProjection({ keyKind: 'int64', columns });
    for (const [i, name] of ['é', 'b', ''].entries()) {
      upsert(projection, keyBytes('int64', BigInt(i)), { name, size: -2n });
    }
    const dictionary = projection.dictionary(0);
    expect(dictionary.size).toBe(4);
    expect([0, 1, 2, 3].map((code) => dictionary.value(code))).toEqual([null, 'é', 'b', '']);
    const spent: number[] = [];
    const { bytes, offsets } = dictionary.gather(Int32Array.of(3, 2, 1), (n) => spent.push(n));
    expect([...offsets]).toEqual([0, 0, 1, 3]);
    expect(Buffer.from(bytes.subarray(0, 3)).toString()).toBe('bé');
    expect(spent).toEqual([3]);
    expect(projection.dictionary(1).size).toBe(2);
    expect(projection.dictionary(1).value(1)).toBe(-2n);
    expect(() => projection.dictionary(2)).toThrow(/column below 2/);
  });
});
