import { describe, expect, it } from 'vitest';
import type { AvroObject } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';

const click: AvroObject = { type: 'record', name: 'Click', fields: [] };
const other: AvroObject = { type: 'record', name: 'Other', fields: [] };

type Answer = AvroObject | 'unknown' | ContractError | 'never';

/** A cache over a registry that answers by id; `kept` outlives it. */
function open(answers: Map<number, Answer>, kept = new Map<number, AvroObject>()) {
  const state = { nowMs: 0, asked: [] as number[] };
  const schemas = createSchemaCache({
    elapsedMs: () => state.nowMs,
    sleep: async () => undefined,
    kept: {
      get: (id) => kept.get(id),
      put: (id, avroSchema) => void kept.set(id, avroSchema),
    },
    registry: {
      async schemaById(schemaId) {
        state.asked.push(schemaId);
        const answer = answers.get(schemaId) ?? 'unknown';
        if (answer === 'never') return new Promise(() => undefined);
        if (answer instanceof ContractError) throw answer;
        return structuredClone(answer);
      },
    },
  });
  return { schemas, state, kept, answers };
}

const away = new ContractError('unavailable', 'away');
const refused = new ContractError('config', 'wrong password');

describe('schemas by id', () => {
  it('are absent until loaded, and asked for once', async () => {
    const { schemas, state } = open(new Map([[7, click]]));
    expect(schemas.resolve(7)).toBeUndefined();
    await Promise.all([schemas.load(7), schemas.load(7)]);
    expect(schemas.resolve(7)).toEqual(click);
    expect(schemas.resolve(7), 'the same object each time').toBe(schemas.resolve(7));
    expect(state.asked).toEqual([7]);
  });

  it('are unknown for 30 s, then asked for again: a schema may come late', async () => {
    const { schemas, state, answers } = open(new Map());
    await schemas.load(8);
    expect(schemas.isUnknown(8)).toBe(true);
    state.nowMs = 29_999;
    expect(schemas.isUnknown(8)).toBe(true);
    state.nowMs = 30_000;
    expect(schemas.isUnknown(8)).toBe(false);
    answers.set(8, click);
    await schemas.load(8);
    expect(schemas.isUnknown(8)).toBe(false);
    expect(schemas.resolve(8)).toEqual(click);
  });

  it('are not called unknown because the registry is away', async () => {
    const { schemas, answers } = open(new Map([[7, away]]));
    await expect(schemas.load(7)).rejects.toMatchObject({ kind: 'unavailable' });
    expect([schemas.isUnknown(7), schemas.resolve(7)]).toEqual([false, undefined]);
    answers.set(7, click);
    await schemas.load(7);
    expect(schemas.resolve(7)).toEqual(click);
  });

  it('are bounded, and ids of damaged records do not push them out', async () => {
    const { schemas } = open(new Map([[7, click]]));
    await schemas.load(7);
    for (let id = 10_000; id < 25_000; id++) await schemas.load(id);
    expect(schemas.resolve(7)).toEqual(click);
    expect(schemas.isUnknown(10_000), 'the oldest made room').toBe(false);
    expect(schemas.isUnknown(24_999)).toBe(true);
  });
});

function before(): Map<number, AvroObject> {
  return new Map([[7, click]]);
}

describe('schemas that were met before', () => {
  it('are kept, unknown ones are not', async () => {
    const { schemas, kept } = open(new Map([[7, click]]));
    await schemas.load(7);
    await schemas.load(8);
    expect(kept).toEqual(before());
  });

  it.each<[string, Answer]>([
    ['is away', away],
    ['does not answer', 'never'],
    ['has forgotten the id', 'unknown'],
  ])('count while the registry %s, until it confirms them', async (_, answer) => {
    const { schemas, answers } = open(new Map([[7, answer]]), before());
    expect(await schemas.load(7)).toBe('kept');
    expect(schemas.resolve(7)).toEqual(click);
    answers.set(7, away);
    await expect(schemas.confirm(7)).rejects.toBe(away);
    answers.set(7, 'unknown');
    expect(await schemas.confirm(7)).toBe(false);
    answers.set(7, click);
    expect(await schemas.confirm(7)).toBe(true);
    answers.set(7, other);
    await expect(schemas.confirm(7), 'however late').rejects.toMatchObject({ kind: 'config' });
  });

  it('need no confirmation where the registry has said the same', async () => {
    const { schemas } = open(new Map([[7, click]]), before());
    expect(await schemas.load(7)).toBe('answered');
  });

  it('do not count where the registry refuses us: that is to be mended', async () => {
    const { schemas } = open(new Map([[7, refused]]), before());
    await expect(schemas.load(7)).rejects.toBe(refused);
  });

  it('are an error where the registry has another one: its ids mean two things', async () => {
    const { schemas, kept } = open(new Map([[7, other]]), before());
    await expect(schemas.load(7)).rejects.toMatchObject({
      kind: 'config',
      message: expect.stringContaining('empty state directory') as string,
      context: { schemaId: 7 },
    });
    expect([schemas.resolve(7), kept.get(7)]).toEqual([undefined, click]);
  });
});
