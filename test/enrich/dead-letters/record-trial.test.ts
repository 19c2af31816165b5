import { describe, expect, it } from 'vitest';
import type { EvolutionConfig } from '../../../enrich/config/pipeline-config.ts';
import { judgeSchema } from '../../../enrich/core/judge-schema.ts';
import { createRecordTrial } from '../../../enrich/dead-letters/record-trial.ts';
import type { TrialResult } from '../../../enrich/dead-letters/record-trial.ts';
import type { AvroObject, Contract } from '../../../schemas/contract.ts';
import { createMemoryRegistry } from '../../../schemas/memory-registry.ts';
import { avscType, contractOf, recordOf } from '../../schemas/avro-encoding.ts';
import { withFrame } from '../../schemas/mutations.ts';

const id = { name: 'id', type: 'long' };
const note = { name: 'note', type: ['null', 'string'], default: null };
const size = { name: 'size', type: 'int', default: 7 };

const geo = (...fields: unknown[]): object => {
  return { name: 'geo', type: { type: 'record', name: 'Geo', fields } };
};

const registry = createMemoryRegistry();

/** A record as a producer with this schema sends it. */
async function sent(fields: unknown[], value: unknown): Promise<Uint8Array> {
  const avroSchema: AvroObject = recordOf(fields);
  const { schemaId } = await registry.register('clicks-value', avroSchema);
  return withFrame(schemaId, avscType(avroSchema).toBuffer(value));
}

async function tried(
  values: readonly (Uint8Array | null)[],
  contract: Contract,
  { older, ...evolution }: { older?: Contract } & Partial<EvolutionConfig> = {},
): Promise<TrialResult> {
  const policy: EvolutionConfig = { policy: 'ignore', allow: new Set(), ...evolution };
  const trial = createRecordTrial({
    registry,
    contract,
    ...(older === undefined ? {} : { older }),
    judge: (base, current, writer) =>
      judgeSchema({
        base,
        current,
        writer,
        evolution: policy,
        misfit: () => undefined,
        columns: new Set(),
      }),
    elapsedMs: () => 0,
  });
  await trial.add(values.map((value, i) => ({ partition: 2, offset: BigInt(i), value })));
  return trial.result();
}

describe('records tried under a contract', () => {
  it('are rows where they can be read, and fields that nobody writes are named', async () => {
    const values = [await sent([id], { id: 1n }), await sent([id], { id: 2n })];
    expect(await tried(values, contractOf([id, note, size]))).toMatchObject({
      records: 2,
      accepted: 2,
      refused: [],
      unwritten: ['note', 'size'],
      alwaysNull: [],
      leftOut: [],
    });
  });

  it('tell fields that are written and always null, and those that the contract leaves out', async () => {
    const values = [
      await sent([id, note], { id: 1n, note: null }),
      await sent([id, size], { id: 1n, size: 3 }),
    ];
    const result = await tried(values, contractOf([id, note]));
    expect(result).toMatchObject({ alwaysNull: ['note'], unwritten: [], leftOut: ['size'] });
    const seen = await tried(
      [...values, await sent([id, note], { id: 1n, note: 'x' })],
      contractOf([id, note]),
    );
    expect(seen.alwaysNull).toEqual([]);
    expect(seen.schemas.map(({ records }) => records)).toEqual([2, 1]);
  });

  it('tell what the contract leaves out within a record, and what it follows there', async () => {
    const values = [
      await sent([id, geo(note, size)], { id: 1n, geo: { note: 'x', size: 1 } }),
      await sent([id, geo(note)], { id: 1n, geo: { note: 'x' } }),
    ];
    const contract = contractOf([id, geo(note)]);
    expect(await tried(values, contract)).toMatchObject({ accepted: 2, leftOut: ['geo.size'] });
    const result = await tried(values, contract, { allow: new Set(['add-field']) });
    expect(result).toMatchObject({
      leftOut: [],
      followed: [expect.stringContaining('field geo.size is not in the contract')],
    });
  });

  it('count a field as written by its alias', async () => {
    const renamed = { ...note, name: 'remark', aliases: ['note'] };
    const values = [await sent([id, note], { id: 1n, note: 'x' })];
    const result = await tried(values, contractOf([id, renamed]));
    expect(result).toMatchObject({ accepted: 1, unwritten: [], leftOut: [] });
  });

  it('are counted by reason, with the first of each and how many the older contract takes', async () => {
    const required = { name: 'note', type: 'string' };
    const values = [
      await sent([id, note], { id: 1n, note: 'x' }),
      await sent([id, note], { id: 2n, note: null }),
      await sent([id, note], { id: 3n, note: null }),
      null,
    ];
    const result = await tried(values, contractOf([id, required]), {
      older: contractOf([id, note]),
    });
    expect(result).toMatchObject({ records: 4, accepted: 1 });
    expect(result.refused).toEqual([
      {
        kind: 'contract-violation',
        message: 'field note: it is null but the contract requires it',
        count: 2,
        newly: 2,
        example: '2/1',
      },
      {
        kind: 'null-value',
        message: 'the record has no value',
        count: 1,
        newly: 0,
        example: '2/3',
      },
    ]);
  });

  it('with a schema that nobody registered, or without a frame, are refused as the pipeline does', async () => {
    const values = [withFrame(4_711, Buffer.of(2)), Buffer.from('{"id":1}'), Buffer.of()];
    const { refused, schemas } = await tried(values, contractOf([id]), {
      older: contractOf([id]),
    });
    expect(refused.map(({ kind, count, newly }) => [kind, count, newly])).toEqual([
      ['no-magic-byte', 2, 0],
      ['unknown-schema-id', 1, 0],
    ]);
    expect(schemas).toEqual([{ schemaId: 4_711, records: 1 }]);
  });

  it('are all counted, however many reasons there are', async () => {
    const required = { name: 'note', type: 'string' };
    const unknown = Array.from({ length: 1_000 }, (_, i) => withFrame(50_000 + i, Buffer.of(2)));
    const values = [...unknown, await sent([id, note], { id: 2n, note: null })];
    const result = await tried(values, contractOf([id, required]), {
      older: contractOf([id, note]),
    });
    expect(result).toMatchObject({ records: 1_001, accepted: 0, newlyRefused: 1 });
    expect(result.refused).toHaveLength(1_000);
  });

  it('say nothing of fields where none was read', async () => {
    const result = await tried([Buffer.of()], contractOf([id, note]));
    expect(result).toMatchObject({ accepted: 0, unwritten: [], alwaysNull: [], leftOut: [] });
  });

  it('are what the policy makes of their schema: read as the table follows, held up, or refused', async () => {
    const long = { ...size, type: 'long' };
    const values = [
      await sent([id, size], { id: 1n, size: 3 }),
      await sent([id, long], { id: 1n, size: 2n ** 40n }),
    ];
    const contract = contractOf([id, size]);
    const grown = await tried(values, contract, {
      policy: 'evolve',
      allow: new Set(['widen-type']),
    });
    expect(grown).toMatchObject({ accepted: 2, refused: [] });
    expect(grown.followed).toEqual([
      expect.stringMatching(
        /^schema \d+: field size is long, and int in the contract \(widen-type\)$/,
      ),
    ]);
    const more = [await sent([id, note], { id: 1n, note: 'x' })];
    const allow = new Set(['add-field'] as const);
    expect(await tried(more, contractOf([id]), { policy: 'evolve', allow })).toMatchObject({
      leftOut: [],
      followed: [expect.stringContaining('field note is not in the contract (add-field)')],
    });
    const kinds = async (policy: EvolutionConfig['policy'], older = contract) =>
      (await tried(values, contract, { policy, older })).refused.map((each) => [
        each.kind,
        each.count,
        each.newly,
      ]);
    expect(await kinds('reject')).toEqual([['schema-change', 1, 0]]);
    expect(await kinds('pause')).toEqual([['pause', 1, 0]]);
    expect(await kinds('fail', contractOf([id, long]))).toEqual([['fail', 1, 1]]);
  });
});
