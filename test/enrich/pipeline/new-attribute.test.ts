import { describe, expect, it } from 'vitest';
import type { ContractSet } from '../../../enrich/config/check-contracts.ts';
import type { EvolutionConfig } from '../../../enrich/config/pipeline-config.ts';
import type { Contract } from '../../../schemas/contract.ts';
import { pipelineConfig, shippedContracts, World } from './harness.ts';
import { writeChange } from './source-table.ts';

const columns = {
  name: 'string',
  country: 'string',
  tier: 'string',
  birth_year: 'int',
  signup_date: 'int',
};
const wider = { ...columns, birth_year: 'long' };
const LARGE = 3_000_000_000n;

/** The shipped pipeline; `users` has these columns, and its table may get what is allowed. */
function withUsers(carried: readonly string[], allow: EvolutionConfig['allow']) {
  const { dimensions } = pipelineConfig();
  return {
    dimensions: dimensions.map((dimension) =>
      dimension.name === 'users'
        ? { ...dimension, columns: carried, evolution: { policy: 'ignore' as const, allow } }
        : dimension,
    ),
  };
}

/** The shipped contracts with another type of `birth_year`. */
function withBirthYear(type: string): ContractSet {
  const users = shippedContracts.dimensions.get('users');
  if (users === undefined) throw new Error('expected the contract of users');
  const fields = (users.avroSchema as unknown as { fields: { name: string }[] }).fields.map(
    (field) => (field.name === 'birth_year' ? { ...field, type: ['null', type] } : field),
  );
  const changed = {
    ...users,
    avroSchema: { ...users.avroSchema, fields } as Contract['avroSchema'],
  };
  return {
    ...shippedContracts,
    dimensions: new Map([...shippedContracts.dimensions, ['users', changed]]),
  };
}

async function user(
  world: World,
  key: number,
  row: Readonly<Record<string, unknown>>,
  of: object = columns,
): Promise<void> {
  await writeChange(world, { dimension: 'users', columns: of as typeof columns, key, row });
}

async function years(world: World): Promise<string[]> {
  const rows = await world.rows();
  return rows
    .map((row) => `${String(row['user_id'])}: ${String(row['user_birth_year'])}`)
    .toSorted();
}

async function fieldOf(world: World, name: string) {
  const { schemas, currentSchemaId } = await world.metadata();
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  return current?.fields.find((field) => field.name === name);
}

describe('a column that is added to those that pipeline.yaml carries', () => {
  it('comes into the table with the first commit, and its values from the topic', async () => {
    const world = await World.open();
    await user(world, 1, { name: 'ann', birth_year: 1990 });
    await user(world, 2, { name: 'bob', birth_year: 1980 });
    const allow: EvolutionConfig['allow'] = new Set(['add-field']);
    const before = await world.start({ config: withUsers(['name'], allow) });
    world.click(0, [{ userId: 1 }]);
    await world.run(5_000);
    expect(await fieldOf(world, 'user_birth_year')).toBeUndefined();
    const { lastColumnId } = await world.metadata();
    before.stop();
    await world.run(5_000);
    await world.start({ config: withUsers(['name', 'birth_year'], allow) });
    await world.run(2_000);
    // Not before a commit carries it.
    expect(await fieldOf(world, 'user_birth_year')).toBeUndefined();
    world.click(0, [{ userId: 2 }]);
    await world.run(5_000);
    expect(await fieldOf(world, 'user_birth_year')).toMatchObject({
      id: lastColumnId + 1,
      type: 'int',
      required: false,
    });
    expect(await years(world)).toEqual(['1: null', '2: 1980']);
  });

  it('needs the leave of the dimension that it is of', async () => {
    const world = await World.open();
    const before = await world.start({ config: withUsers(['name'], new Set()) });
    await world.run(5_000);
    before.stop();
    await world.run(5_000);
    const process = await world.start({ config: withUsers(['name', 'birth_year'], new Set()) });
    await world.run(5_000);
    const ended = process.ended() as { error: Error & { kind: string } };
    expect(ended.error.kind).toBe('config');
    expect(ended.error.message).toContain('user_birth_year');
  });
});

describe('a carried column that the contract widens', () => {
  it('is wider in the table from the first commit on, and has what was refused before', async () => {
    const allow: EvolutionConfig['allow'] = new Set(['widen-type']);
    const config = withUsers(['name', 'birth_year'], allow);
    const world = await World.open();
    await user(world, 1, { name: 'ann', birth_year: 1990 });
    await user(world, 2, { name: 'bob', birth_year: 1980 });
    const before = await world.start({ config });
    await world.run(1_000);
    await user(world, 2, { name: 'bobby', birth_year: LARGE }, wider);
    await world.run(1_000);
    world.click(0, [{ userId: 1 }]);
    world.click(1, [{ userId: 2 }]);
    await world.run(8_000);
    expect(await years(world)).toEqual(['1: 1990', '2: 1980']);
    expect(await world.deadLetters()).toHaveLength(1);
    const id = (await fieldOf(world, 'user_birth_year'))?.id;
    before.stop();
    await world.run(5_000);
    await world.start({ config, contracts: withBirthYear('long') });
    await world.run(2_000);
    world.click(2, [{ userId: 1 }, { userId: 2 }]);
    await world.run(8_000);
    expect(await fieldOf(world, 'user_birth_year')).toMatchObject({ id, type: 'long' });
    expect(await years(world)).toEqual(['1: 1990', '1: 1990', '2: 1980', `2: ${LARGE}`]);
  });

  it('stays as it is in the table where a start comes with the narrower contract again', async () => {
    const config = withUsers(['name', 'birth_year'], new Set(['widen-type']));
    const world = await World.open();
    await user(world, 1, { name: 'ann', birth_year: 1990 });
    const before = await world.start({ config, contracts: withBirthYear('long') });
    world.click(0, [{ userId: 1 }]);
    await world.run(5_000);
    before.stop();
    await world.run(5_000);
    const process = await world.start({ config });
    world.click(0, [{ userId: 1 }]);
    await world.run(8_000);
    expect(process.ended()).toBeUndefined();
    const rows = await world.rows();
    expect(rows.map((row) => row['user_birth_year'])).toEqual([1990n, 1990n]);
  });
});
