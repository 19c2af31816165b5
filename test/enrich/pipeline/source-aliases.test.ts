import { expect, it } from 'vitest';
import type { Contract } from '../../../schemas/contract.ts';
import { contractOf } from '../../schemas/avro-encoding.ts';
import { placeOf, shippedContracts, World } from './harness.ts';
import { paused, under, writeChange } from './source-table.ts';
import type { Columns, Policy } from './source-table.ts';

type Row = Readonly<Record<string, unknown>>;

/** The contracts as shipped, with other names for fields of one dimension's. */
function withAliases(dimension: string, aliases: Readonly<Record<string, readonly string[]>>) {
  const shipped = shippedContracts.dimensions.get(dimension);
  const { fields = [] } = (shipped?.avroSchema ?? {}) as { fields?: { name: string }[] };
  const contract = contractOf(
    fields.map((field) => ({
      ...field,
      ...(aliases[field.name] && { aliases: aliases[field.name] }),
    })),
  );
  const dimensions = new Map([...shippedContracts.dimensions, [dimension, contract]]);
  return { stream: shippedContracts.stream, dimensions };
}

const urls: Columns = {
  url: 'string',
  domain: 'string',
  category: 'string',
  title: 'string',
  price: { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 },
};
const { url: _url, ...others } = urls;
const renamedUrls: Columns = { address: 'string', ...others };

async function writeUrl(world: World, key: number, row?: Row, keyName = 'url_id'): Promise<void> {
  const columns = keyName === 'url_id' ? urls : renamedUrls;
  await writeChange(world, { dimension: 'urls', columns, keyName, key, ...(row && { row }) });
}

const asked = ['https://a/', 'https://b/', 'https://c/', 'https://d/'];

/** What clicks of these, sent now, are joined to. */
async function titles(world: World): Promise<unknown[]> {
  const isThere = (await world.metadataIfAny()) !== undefined;
  const before = new Set(isThere ? (await world.rows()).map(placeOf) : []);
  world.click(
    0,
    asked.map((url) => ({ url })),
  );
  await world.run(8_000);
  const rows = (await world.rows()).filter((row) => !before.has(placeOf(row)));
  const byUrl = new Map(rows.map((row) => [row['url'], row['url_title']]));
  return asked.map((url) => byUrl.get(url));
}

/** Both keys have another name for a while, and then their own again. */
async function renameAndBack(world: World): Promise<void> {
  await writeUrl(world, 1, { address: 'https://a/', title: 'a2' }, 'id');
  await writeUrl(world, 2, undefined, 'id');
  await writeUrl(world, 3, { address: 'https://c/', title: 'c' }, 'id');
  await writeUrl(world, 3, { url: 'https://c/', title: 'c2' });
  await writeUrl(world, 4, { url: 'https://d/', title: 'd' });
}

it('a key that was renamed, and back, is one key once the contract has its other name as an alias', async () => {
  const world = await World.open();
  await writeUrl(world, 1, { url: 'https://a/', title: 'a' });
  await writeUrl(world, 2, { url: 'https://b/', title: 'b' });
  const process = await world.start({ config: under('pause') });
  await world.run(2_000);
  await renameAndBack(world);
  expect(await titles(world)).toEqual(['a', 'b', null, null]);
  expect(process.status.notes()).toEqual([
    expect.stringMatching(/key url_id is gone.*another name of url_id belongs in its "aliases"/),
  ]);
  process.stop();
  await world.run(5_000);
  const contracts = withAliases('urls', { url_id: ['id'], url: ['address'] });
  const again = await world.start({ config: under('fail'), contracts });
  await world.run(2_000);
  expect(await titles(world)).toEqual(['a2', null, 'c2', 'd']);
  expect(await paused(again)).toBe(0);
  expect(await world.deadLetters()).toEqual([]);
  again.stop();
  await world.run(5_000);
  await world.start({ config: under('fail'), contracts, state: 'built anew' });
  await world.run(2_000);
  expect(await titles(world)).toEqual(['a2', null, 'c2', 'd']);
});

it('a key that was renamed may have its new name in the contract, and its former one as the alias', async () => {
  const world = await World.open();
  await writeUrl(world, 1, { url: 'https://a/', title: 'a' });
  await writeUrl(world, 2, { url: 'https://b/', title: 'b' });
  await renameAndBack(world);
  const contracts = withAliases('urls', { url_id: ['url_id'], url: ['address'] });
  const contract = contracts.dimensions.get('urls');
  const text = JSON.stringify(contract).replace('"name":"url_id"', '"name":"id"');
  contracts.dimensions.set('urls', JSON.parse(text) as Contract);
  const dimensions = under('fail').dimensions.map((dimension) =>
    dimension.name === 'urls' ? { ...dimension, primaryKey: 'id' } : dimension,
  );
  await world.start({ config: { dimensions }, contracts });
  await world.run(2_000);
  expect(await titles(world)).toEqual(['a2', null, 'c2', 'd']);
  expect(await world.deadLetters()).toEqual([]);
});

it.each<Policy>(['ignore', 'pause', 'reject', 'fail'])(
  'a carried column that is renamed to an alias of its field goes on as it was under %s',
  async (policy) => {
    const world = await World.open();
    await writeUrl(world, 1, { url: 'https://a/', title: 'a' });
    await writeUrl(world, 2, { url: 'https://b/', title: 'b' });
    const contracts = withAliases('urls', { title: ['headline'] });
    const process = await world.start({ config: under(policy), contracts });
    await world.run(2_000);
    const { title, ...withoutTitle } = urls;
    const columns = { ...withoutTitle, headline: title };
    const row = { url: 'https://a/', headline: 'a2' };
    await writeChange(world, { dimension: 'urls', columns, key: 1, row });
    expect(await titles(world)).toEqual(['a2', 'b', null, null]);
    expect(process.lines.map(({ message }) => message)).not.toContainEqual(
      expect.stringContaining('the source has changed'),
    );
  },
);
