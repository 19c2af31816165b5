import { describe, expect, it } from 'vitest';
import type { EvolutionConfig, PipelineConfig } from '../../../enrich/config/pipeline-config.ts';
import { placeOf, QUIET_MS, World } from './harness.ts';
import type { Process } from './harness.ts';
import { paused, under, writeChange } from './source-table.ts';
import type { Columns, Policy } from './source-table.ts';

const whole: Columns = {
  name: 'string',
  country: 'string',
  tier: 'string',
  birth_year: 'int',
  signup_date: { type: 'int', 'connect.name': 'io.debezium.time.Date' },
};
const { birth_year: _birthYear, ...withoutYear } = whole;
const widerYear = { ...whole, birth_year: 'long' };
const textYear = { ...whole, birth_year: 'string' };

/** A world in which Debezium has written user 1 of partition 0 and user 2 of partition 1, and the pipeline runs. */
async function started(config: Partial<PipelineConfig>) {
  const world = await World.open();
  await write(world, whole, { key: 1, row: { name: 'ann', birth_year: 1990 } });
  await write(world, whole, { key: 2, partition: 1, row: { name: 'bob', birth_year: 1980 } });
  world.change('devices', 'd1', { os: 'linux' });
  const process = await world.start({ config });
  await world.run(1_000);
  return { world, process };
}

type Written = { key: number; partition?: number; row?: Readonly<Record<string, unknown>> };

async function write(world: World, columns: Columns, of: Written): Promise<number> {
  return writeChange(world, { dimension: 'users', columns, ...of });
}

/** What the clicks of these users, sent now, are joined to. */
async function joined(world: World, users: readonly number[]) {
  const isThere = (await world.metadataIfAny()) !== undefined;
  const before = new Set(isThere ? (await world.rows()).map(placeOf) : []);
  world.click(
    0,
    users.map((userId) => ({ userId })),
  );
  await world.run(8_000);
  const rows = (await world.rows()).filter((row) => !before.has(placeOf(row)));
  return rows.map((row) => [row['user_id'], row['user_name'], row['user_birth_year']]);
}

const told = ({ lines }: Process) =>
  lines.filter(({ message }) => String(message).startsWith('the source has changed'));

describe('a column that is not carried', () => {
  it.each<Policy>(['ignore', 'pause', 'reject', 'fail'])(
    'may come, change and go under %s',
    async (policy) => {
      const { world, process } = await started(under(policy));
      const row = { name: 'anna', birth_year: 1991 };
      await write(world, { ...whole, bio: 'string' }, { key: 1, row });
      await write(world, { ...whole, bio: 'long' }, { key: 1, row });
      await write(world, whole, { key: 1, row });
      expect(await joined(world, [1])).toEqual([[1n, 'anna', 1991]]);
      expect(process.ended()).toBeUndefined();
      expect(told(process)).toEqual([]);
    },
  );
});

describe('a carried column that is dropped or renamed', () => {
  it.each<Policy>(['ignore', 'evolve'])(
    'is null in newer rows under %s, and that is told once',
    async (policy) => {
      const { world, process } = await started(under(policy));
      const schemaId = await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
      await write(world, withoutYear, { key: 3, row: { name: 'eve' } });
      expect(await joined(world, [1, 2, 3])).toEqual([
        [1n, 'anna', null],
        [2n, 'bob', 1980],
        [3n, 'eve', null],
      ]);
      expect(told(process)).toMatchObject([
        { dimension: 'users', schemaId, changes: ['column birth_year is gone'] },
      ]);
      expect(process.status.notes()).toEqual([]);
      const { values } = await process.metrics.schemaChanges.get();
      expect(values).toMatchObject([
        { labels: { kind: 'drop-field', outcome: 'ignore' }, value: 1 },
      ]);
    },
  );

  it('leaves the row as it was under reject, and the change in the dead letters', async () => {
    const { world, process } = await started(under('reject'));
    const schemaId = await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    expect(await joined(world, [1])).toEqual([[1n, 'ann', 1990]]);
    expect(await world.deadLetters()).toMatchObject([
      {
        error_kind: 'schema-change',
        error_message: `schema ${schemaId} of app.public.users: column birth_year is gone`,
        schema_id: schemaId,
      },
    ]);
    expect(told(process)).toHaveLength(1);
  });

  it('does not keep a row from being deleted under reject', async () => {
    const { world } = await started(under('reject'));
    await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    await write(world, withoutYear, { key: 1 });
    expect(await joined(world, [1, 2])).toEqual([
      [1n, null, null],
      [2n, 'bob', 1980],
    ]);
  });

  it('stops the pipeline under fail, with the field, the schema and what to do', async () => {
    const { world, process } = await started(under('fail'));
    await write(world, whole, { key: 1, row: { name: 'before' } });
    const schemaId = await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    await world.run(QUIET_MS);
    const ended = process.ended() as { error: Error & { kind: string } };
    expect(ended.error.kind).toBe('schema-change');
    expect(ended.error.message).toContain(
      `schema ${schemaId} of app.public.users: column birth_year is gone`,
    );
    expect(ended.error.message).toMatch(/user\.avsc .*pipeline\.yaml .*ignore/);
    await world.start({ config: under('ignore') });
    await world.run(1_000);
    expect(await joined(world, [1])).toEqual([[1n, 'anna', null]]);
  });
});

describe('under pause', () => {
  it('partitions with such records wait, and the clicks do not', async () => {
    const { world, process } = await started(under('pause'));
    const schemaId = await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    await write(world, whole, { key: 2, partition: 1, row: { name: 'bobby' } });
    world.change('devices', 'd1', { os: 'mac' });
    expect(await joined(world, [1, 2])).toEqual([
      [1n, 'ann', 1990],
      [2n, 'bobby', null],
    ]);
    expect((await world.rows()).map((row) => row['device_os'])).toEqual(['mac', 'mac']);
    expect(await paused(process)).toBe(1);
    expect(process.status.waitingFor()).toBeUndefined();
    expect(process.status.failure()).toBeUndefined();
    expect(process.status.notes()).toEqual([
      expect.stringContaining(
        `paused at schema ${schemaId} of app.public.users: column birth_year is gone`,
      ),
    ]);
    await write(world, withoutYear, { key: 2, partition: 1, row: { name: 'bo' } });
    await world.run(QUIET_MS);
    expect(await paused(process)).toBe(2);
    expect(process.status.notes()).toHaveLength(1);
    expect(told(process)).toHaveLength(1);
    const { values } = await process.metrics.dimensionLag.get();
    expect(values.find(({ labels }) => labels.dimension === 'users')?.value).toBe(2);
    expect(await world.deadLetters()).toEqual([]);
  });

  it('a restart is ready and waits again, until the policy or the contract takes the records', async () => {
    const { world, process } = await started(under('pause'));
    await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    await world.run(5_000);
    process.kill();
    const again = await world.start({ config: under('pause') });
    await world.run(5_000);
    expect(again.status.waitingFor()).toBeUndefined();
    expect(await paused(again)).toBe(1);
    expect(await joined(world, [1])).toEqual([[1n, 'ann', 1990]]);
    again.stop();
    await world.run(5_000);
    const { dimensions } = under('pause');
    const carried = dimensions.map((dimension) => ({
      ...dimension,
      columns: dimension.columns.filter((column) => column !== 'birth_year'),
    }));
    await world.start({ config: { dimensions: carried } });
    await world.run(5_000);
    expect(await joined(world, [1])).toEqual([[1n, 'anna', null]]);
  });

  it('each difference is told of a schema that differs by more in one partition than in another', async () => {
    const { tier: _tier, ...withoutTier } = whole;
    const { tier: _, ...withoutBoth } = withoutYear;
    const world = await World.open();
    await write(world, whole, { key: 1, row: { name: 'ann', birth_year: 1990, tier: 'gold' } });
    await write(world, withoutTier, { key: 2, partition: 1, row: { name: 'bob' } });
    const process = await world.start({ config: under('pause') });
    await world.run(1_000);
    const other = { key: 2, partition: 1, row: { name: 'bo' } };
    const schemaId = await write(world, withoutBoth, other);
    await world.run(1_000);
    await write(world, withoutBoth, { key: 1, row: { name: 'anna' } });
    await world.run(1_000);
    expect(await paused(process)).toBe(2);
    const [year, tier] = ['column birth_year is gone', 'column tier is gone'];
    const prefix = `paused at schema ${schemaId} of app.public.users: `;
    expect(process.status.notes()).toEqual([
      expect.stringContaining(`${prefix}${year}. `),
      expect.stringContaining(`${prefix}${tier}; ${year}. `),
    ]);
    expect(told(process)).toMatchObject([{ changes: [year] }, { changes: [tier] }]);
  });

  it('a partition that goes on once the state was built again is no longer counted', async () => {
    const { world, process } = await started(under('pause'));
    await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    await world.run(5_000);
    expect(await paused(process)).toBe(1);
    world.log.compact('app.public.users', 0);
    world.faults.stateWrites = 'rebuild';
    world.change('devices', 'd1', { os: 'mac' });
    expect(await joined(world, [1])).toEqual([[1n, 'anna', null]]);
    expect(await paused(process)).toBe(0);
  });

  it('no click is joined before the first reading is past such records (INVARIANTS.md 6)', async () => {
    const world = await World.open();
    await write(world, whole, { key: 1, row: { name: 'ann' } });
    await write(world, textYear, { key: 2, row: { name: 'bob', birth_year: '1980' } });
    await write(world, whole, { key: 3, row: { name: 'eve' } });
    world.click(0, [{ userId: 3 }]);
    const process = await world.start({ config: under('pause') });
    await world.run(QUIET_MS);
    expect(process.status.waitingFor()).toContain('2 changes of users');
    expect(process.status.notes()).toHaveLength(1);
    expect(await world.rows()).toEqual([]);
  });

  it('nor before it has been read again for another column', async () => {
    const world = await World.open();
    await write(world, textYear, { key: 1, row: { name: 'ann', birth_year: 'unknown' } });
    await write(world, whole, { key: 1, row: { name: 'anna', birth_year: 1990 } });
    const { dimensions } = under('pause', new Set(['add-field']));
    const fewer = dimensions.map(({ columns, ...one }) => ({
      ...one,
      columns: columns.filter((name) => name !== 'birth_year'),
    }));
    const first = await world.start({ config: { dimensions: fewer } });
    await world.run(1_000);
    expect(await joined(world, [1])).toEqual([[1n, 'anna', undefined]]);
    first.stop();
    await world.run(5_000);
    const again = await world.start({ config: { dimensions } });
    expect(await joined(world, [1])).toEqual([]);
    expect(again.status.waitingFor()).not.toEqual([]);
  });

  it('what lies before such a record is applied, also where that takes more than one try', async () => {
    const { world, process } = await started(under('pause'));
    await write(world, withoutYear, { key: 2, partition: 1, row: { name: 'bo' } });
    await world.run(1_000);
    world.faults.away.add('state');
    await write(world, whole, { key: 1, row: { name: 'anna', birth_year: 1991 } });
    await write(world, withoutYear, { key: 1, row: { name: 'anne' } });
    await world.run(5_000);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(await joined(world, [1])).toEqual([[1n, 'anna', 1991]]);
    expect(await paused(process)).toBe(2);
  });

  it('a restart joins no click before what lies before such a record is applied', async () => {
    const { world, process } = await started(under('pause'));
    await write(world, withoutYear, { key: 2, partition: 1, row: { name: 'bo' } });
    await world.run(5_000);
    process.stop();
    await world.run(5_000);
    await write(world, whole, { key: 1, row: { name: 'anna', birth_year: 1991 } });
    await write(world, withoutYear, { key: 1, row: { name: 'anne' } });
    world.beforeApply = () => world.time.sleep(10_000);
    await world.start({ config: under('pause') });
    expect(await joined(world, [1])).toEqual([]);
    await world.run(20_000);
    const rows = await world.rows();
    expect(rows.map((row) => row['user_name'])).toEqual(['anna']);
  });

  it('kinds that are allowed go on', async () => {
    const { world, process } = await started(under('pause', new Set(['drop-field'])));
    await write(world, withoutYear, { key: 1, row: { name: 'anna' } });
    expect(await joined(world, [1])).toEqual([[1n, 'anna', null]]);
    await write(world, widerYear, { key: 1, row: { name: 'anne' } });
    expect(await joined(world, [1])).toEqual([[1n, 'anna', null]]);
    expect(await paused(process)).toBe(1);
  });
});

describe('a carried column that gets another type', () => {
  it('is taken by value under ignore: what does not fit is a dead letter', async () => {
    const { world } = await started(under('ignore'));
    await write(world, widerYear, { key: 1, row: { name: 'anna', birth_year: 1991n } });
    await write(world, widerYear, { key: 2, partition: 1, row: { birth_year: 3_000_000_000n } });
    await write(world, textYear, { key: 3, row: { name: 'eve', birth_year: '1970' } });
    expect(await joined(world, [1, 2, 3])).toEqual([
      [1n, 'anna', 1991],
      [2n, 'bob', 1980],
      [3n, null, null],
    ]);
    const kinds = (await world.deadLetters()).map((letter) => letter['error_kind']);
    expect(kinds).toEqual(['invalid-column', 'invalid-column']);
  });

  it.each<[string, Columns]>([
    ['wider', widerYear],
    ['other', textYear],
  ])('waits under pause, whatever its values: a %s one', async (_what, columns) => {
    const { world, process } = await started(under('pause'));
    await write(world, columns, { key: 1, row: { name: 'anna' } });
    expect(await joined(world, [1])).toEqual([[1n, 'ann', 1990]]);
    expect(await paused(process)).toBe(1);
  });
});

describe('a column that the rows of an older schema lack', () => {
  it('has not been dropped: they are read as they are, also when all is read again', async () => {
    const { world, process: first } = await World.started();
    first.stop();
    await world.run(5_000);
    await write(world, withoutYear, { key: 1, row: { name: 'ann' } });
    await write(world, whole, { key: 2, row: { name: 'bob', birth_year: 1980 } });
    const { dimensions } = under('fail');
    const carried = dimensions.map((dimension) => ({
      ...dimension,
      columns: dimension.columns.filter((column) => column !== 'birth_year'),
    }));
    const before = await world.start({ config: { dimensions: carried } });
    await world.run(5_000);
    before.stop();
    await world.run(5_000);
    const process = await world.start({ config: under('fail') });
    await world.run(5_000);
    expect(await joined(world, [1, 2])).toEqual([
      [1n, 'ann', null],
      [2n, 'bob', 1980],
    ]);
    expect(process.ended()).toBeUndefined();
  });

  it('has been once it was there, though the schema is the older one again, and after a restart', async () => {
    const world = await World.open();
    const older = await write(world, withoutYear, { key: 1, row: { name: 'ann' } });
    await write(world, whole, { key: 2, row: { name: 'bob', birth_year: 1980 } });
    const process = await world.start({ config: under('pause') });
    await world.run(2_000);
    process.kill();
    const again = await world.start({ config: under('pause') });
    await world.run(2_000);
    expect(await write(world, withoutYear, { key: 1, row: { name: 'anna' } })).toBe(older);
    expect(await joined(world, [1])).toEqual([[1n, 'ann', null]]);
    expect(await paused(again)).toBe(1);
  });
});

describe('a key', () => {
  it.each<Policy>(['ignore', 'evolve', 'pause'])(
    'that is renamed holds the dimension up under %s, and never makes its rows unknown',
    async (policy) => {
      const world = await World.open();
      const url = 'https://a/';
      const urls = { url: 'string', domain: 'string', category: 'string', title: 'string' };
      const price = { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 };
      const table = { dimension: 'urls', key: 1 } as const;
      await writeChange(world, { ...table, columns: { ...urls, price }, row: { url, title: 'a' } });
      const allow: EvolutionConfig['allow'] = new Set(['drop-field', 'rename-field']);
      const process = await world.start({ config: under(policy, allow) });
      await world.run(2_000);
      const { url: _url, ...others } = urls;
      const columns = { ...others, price, address: 'string' };
      await writeChange(world, { ...table, columns, row: { address: url, title: 'b' } });
      world.click(0, [{ url }]);
      await world.run(5_000);
      expect(await world.rows()).toMatchObject([{ _urls_match: 'hit', url_title: 'a' }]);
      expect(await paused(process)).toBe(1);
      expect(process.status.notes()).toEqual([expect.stringContaining('key url is gone')]);
    },
  );

  it('that gets wider is the same key', async () => {
    const { world, process } = await started(under('fail'));
    expect(await joined(world, [1])).toEqual([[1n, 'ann', 1990]]);
    expect(process.ended()).toBeUndefined();
  });
});

it('workers beyond the number of partitions are told of', async () => {
  const world = await World.open();
  const process = await world.start({ config: { workers: 5 } });
  await world.run(1_000);
  expect(process.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', workers: 5, idle: 2, topic: 'clicks', partitions: 3 }),
  );
  const enough = await world.start({ config: { workers: 3 }, state: 'other' });
  await world.run(1_000);
  expect(enough.lines.filter(({ idle }) => idle !== undefined)).toEqual([]);
});
