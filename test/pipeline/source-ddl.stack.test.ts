import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRegistry } from '../../schemas/registry.ts';
import { endpoints } from '../stack/endpoints.ts';
import { stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { openOwnSource } from './own-source.ts';
import type { Defined, OwnSource } from './own-source.ts';

const policies = ['ignore', 'pause', 'reject'] as const;
type Policy = (typeof policies)[number];
type Cells = readonly unknown[];

const registry = openRegistry({ url: endpoints.registryUrl });
let source: OwnSource;
const defined = {} as Record<Policy, Defined>;
const pipelines = {} as Record<Policy, Pipeline>;
let round = 0;

async function define(
  variant: string,
  policy: string,
  allow: readonly string[] = [],
): Promise<Defined> {
  return source.definePipeline(variant, (document) => {
    for (const index of [0, 1, 2]) {
      document.setIn(['dimensions', index, 'evolution'], { policy, allow });
    }
  });
}

beforeAll(async () => {
  source = await openOwnSource('source_ddl');
  const { name, database } = source;
  await database.query(`
    insert into ${name}.users (user_id, name, birth_year) values (1, 'ann', 1990), (2, 'bob', 1980);
    insert into ${name}.devices (device_id, os, os_version) values ('d1', 'linux', '6.1'), ('d2', 'mac', '14'),
      ('d3', 'ios', '17');
    insert into ${name}.urls (url_id, url, title, price) values (1, 'https://a.example/', 'a', 1.50)`);
  await source.mustApply();
  for (const policy of policies) {
    defined[policy] = await define(policy, policy);
    pipelines[policy] = await source.startPipeline(defined[policy]);
  }
  for (const policy of policies) await pipelines[policy].ready();
});
afterAll(() => source.close());

const dimensions = ['users', 'devices', 'urls'] as const;
type Table = (typeof dimensions)[number];

/**
 * Runs the statements at the source, and waits until the pipelines have what they take of it. Each is a transaction: of
 * one that alters several tables and their rows, Debezium at times takes rows for those of before.
 */
async function alter(sql: string): Promise<void> {
  for (const statement of sql.replaceAll('$', `${source.name}.`).split(';')) {
    await source.database.query(statement);
  }
  await source.followed();
  await Promise.all(policies.map(hasRead));
}

/** Under what is defined by now. */
async function restart(policy: Policy): Promise<void> {
  await stopCleanly(pipelines[policy]);
  pipelines[policy] = await source.startPipeline(defined[policy]);
  await pipelines[policy].ready();
}

/** Waits until the pipeline has read what it takes of the topics as they are. */
async function hasRead(policy: Policy): Promise<void> {
  await until(`${policy} has read what it takes`, async () => {
    for (const dimension of dimensions) {
      if ((await pausedOf(policy, dimension)) > 0) continue;
      const lag = `tributary_dimension_lag_records{dimension="${dimension}"}`;
      if ((await pipelines[policy].metric(lag)) > 0) return false;
    }
    return true;
  });
}

function pausedOf(policy: Policy, table: Table): Promise<number> {
  const topic = source.topicOf(table);
  return pipelines[policy].metric(`tributary_partitions_paused{topic="${topic}"}`);
}

/** What clicks of both users and all devices, sent now, are joined to under these policies. */
async function joined<P extends Policy>(asked: readonly P[]): Promise<Record<P, readonly Cells[]>> {
  round += 1;
  const base = { duration_ms: round, url: 'https://a.example/' };
  await source.sendClicks([
    { ...base, session_id: '1', user_id: 1, device_id: 'd1' },
    { ...base, session_id: '2', user_id: 2, device_id: 'd2' },
    { ...base, session_id: '3', user_id: 1, device_id: 'd3' },
  ]);
  const answers = await Promise.all(
    asked.map(async (policy) => {
      await defined[policy].caughtUp();
      const { rows } = await source.trino.query(
        `select user_name, user_birth_year, device_os, device_os_version, url_title,
           cast(url_price as varchar), _devices_match, _urls_match
         from ${defined[policy].table} where duration_ms = ${round} order by session_id`,
      );
      return [policy, rows] as const;
    }),
  );
  return Object.fromEntries(answers) as Record<P, readonly Cells[]>;
}

async function deadLetters(policy: Policy): Promise<readonly Cells[]> {
  const { rows } = await source.trino.query(
    `select error_kind, error_message from ${defined[policy].deadLetter} order by _ingested_at, error_message`,
  );
  return rows;
}

/** The dead letters in the order in which they came, once there are so many. */
async function deadLettersWhenThereAre(count: number, policy: Policy): Promise<readonly Cells[]> {
  let letters: readonly Cells[] = [];
  await until(`${policy} has ${count} dead letters`, async () => {
    letters = await deadLetters(policy);
    return letters.length >= count;
  });
  return letters;
}

/** Operating system and its version, of each row. */
const devices = (rows: readonly Cells[]): Cells[] => rows.map((row) => row.slice(2, 4));

/** Of the url that all clicks are of. */
const titleAndPrice = (rows: readonly Cells[]): Cells => rows[0]?.slice(4, 6) ?? [];

describe('ALTER TABLE that adds a column, or changes the length of text or a default, through the live Debezium', () => {
  it('no policy minds', async () => {
    await alter(`
      alter table $users add column nickname text, alter column name type varchar(50);
      alter table $devices alter column os type varchar(80);
      update $users set name = 'anna', nickname = 'a' where user_id = 1;
      alter table $users drop column nickname, alter column name type text;
      update $users set name = 'bobby' where user_id = 2;
      update $devices set os = 'bsd' where device_id = 'd1';
      alter table $devices alter column os_version set default '0';
      update $devices set os_version = null where device_id = 'd3'`);
    const rows = await joined(policies);
    const expected = [
      ['anna', 1990, 'bsd', '6.1', 'a', '1.50', 'hit', 'hit'],
      ['bobby', 1980, 'mac', '14', 'a', '1.50', 'hit', 'hit'],
      // Null, and not the default that the column has.
      ['anna', 1990, 'ios', null, 'a', '1.50', 'hit', 'hit'],
    ];
    expect(rows).toEqual({ ignore: expected, pause: expected, reject: expected });
  });
});

describe('ALTER TABLE of columns that are carried', () => {
  let rows: Record<Policy, readonly Cells[]>;

  beforeAll(async () => {
    await alter(`
      alter table $users alter column birth_year type bigint;
      update $users set birth_year = 1991 where user_id = 1;
      update $users set birth_year = 3000000000 where user_id = 2;
      alter table $devices drop column os_version;
      update $devices set os = 'plan9' where device_id = 'd1';
      alter table $urls rename column title to headline;
      alter table $urls alter column price type numeric(14, 2);
      update $urls set headline = 'b', price = 2.25 where url_id = 1`);
    rows = await joined(policies);
  });

  it('int to bigint: by value, not at all, or as dead letters', async () => {
    const years = policies.map((policy) => [policy, ...rows[policy].map((row) => row[1])]);
    expect(years).toEqual([
      ['ignore', 1991, 1980, 1991],
      ['pause', 1990, 1980, 1990],
      ['reject', 1990, 1980, 1990],
    ]);
    expect(await pausedOf('pause', 'users')).toBeGreaterThan(0);
    expect(await deadLettersWhenThereAre(1, 'ignore')).toEqual([
      ['invalid-column', 'column birth_year: bigint 3000000000 is no int'],
    ]);
    const told = /column birth_year is long at the source and int by contract user/;
    const letters = await deadLettersWhenThereAre(4, 'reject');
    expect(letters.map(([kind]) => kind)).toEqual(Array(4).fill('schema-change'));
    expect(letters.filter(([, message]) => told.test(String(message)))).toHaveLength(2);
    expect(await deadLetters('pause')).toEqual([]);
  });

  it('DROP: null, or the row stays as it was', async () => {
    expect(devices(rows.ignore)[0]).toEqual(['plan9', null]);
    for (const policy of ['pause', 'reject'] as const) {
      expect(devices(rows[policy])[0]).toEqual(['bsd', '6.1']);
    }
    for (const policy of policies) expect(devices(rows[policy])[1]).toEqual(['mac', '14']);
  });

  it('RENAME, and numeric with more digits', async () => {
    expect(policies.map((policy) => [policy, ...titleAndPrice(rows[policy])])).toEqual([
      ['ignore', null, '2.25'],
      ['pause', 'a', '1.50'],
      ['reject', 'a', '1.50'],
    ]);
  });
});

/** What clicks were joined to when all was altered. */
let last: Record<Policy, readonly Cells[]>;

describe('ALTER TABLE after those', () => {
  beforeAll(async () => {
    await alter(`
      alter table $devices add column os_version int;
      update $devices set os_version = 15 where device_id = 'd2';
      update $devices set os_version = 16 where device_id = 'd3';
      delete from $devices where device_id = 'd3';
      alter table $urls rename column url to address;
      update $urls set price = 3 where url_id = 1`);
    last = await joined(policies);
  });

  it('ADD of a dropped column with another type: dead letters, and the row stays as it was', async () => {
    expect(policies.map((policy) => [policy, ...devices(last[policy]).slice(0, 2)])).toEqual([
      ['ignore', ['plan9', null], ['mac', '14']],
      ['pause', ['bsd', '6.1'], ['mac', '14']],
      ['reject', ['bsd', '6.1'], ['mac', '14']],
    ]);
    const letters = await deadLettersWhenThereAre(3, 'ignore');
    expect(letters.slice(1)).toEqual([
      ['invalid-column', 'column os_version: number 15 is no string'],
      ['invalid-column', 'column os_version: number 16 is no string'],
    ]);
  });

  it('a delete needs no column: it is taken unless the dimension stands still', () => {
    expect(policies.map((policy) => last[policy][2]?.[6])).toEqual(['miss', 'hit', 'miss']);
  });

  it('RENAME of the join key holds the dimension up whatever the policy, and its rows are found', async () => {
    expect(last.ignore[0]?.slice(4)).toEqual([null, '2.25', 'hit', 'hit']);
    expect(await pausedOf('ignore', 'urls')).toBe(1);
    const text = await (await fetch(`${pipelines.ignore.url}/readyz`)).text();
    expect(text).toMatch(/^ok\npaused at schema \d+ of .*urls: .*key url is gone/);
  });
});

describe.concurrent('meanwhile', () => {
  it('every join is what a replay gives, whatever the policy', async () => {
    const verified = await Promise.all(
      policies.map((policy) => {
        const configured = ['--config', defined[policy].config, '--contracts', source.contracts];
        return source.run(...configured, 'verify', '--joins');
      }),
    );
    for (const finished of verified) expect(finished).toMatchObject({ code: 0 });
  });

  it('a start under fail ends with 1, and names the field, the schema and what to do', async () => {
    const pipeline = await source.startPipeline(await define('fail', 'fail'));
    expect(await pipeline.ended).toBe(1);
    expect(pipeline.output()).toMatch(
      /schema \d+ of .*: column \w+ is .*\. Bring \w+\.avsc and .*pipeline\.yaml/,
    );
  });
});

it('a start under pause waits again, and joins', async () => {
  await restart('pause');
  expect((await joined(['pause'])).pause.map((row) => row.slice(0, 4))).toEqual([
    ['anna', 1990, 'bsd', '6.1'],
    ['bobby', 1980, 'mac', '14'],
    ['anna', 1990, 'ios', null],
  ]);
});

describe('a start with', () => {
  let rows: Record<'pause' | 'ignore', readonly Cells[]>;

  beforeAll(async () => {
    defined.pause = await define('pause', 'ignore');
    await restart('pause');
    // From here on: the pipelines that run have read their contracts.
    await source.editContract('user', (fields) =>
      fields.map((field) =>
        field.name === 'birth_year' ? { ...field, type: ['null', 'long'] } : field,
      ),
    );
    // Debezium asks the table which columns are its key when it reads the first change of a row: it must be there by then.
    await alter(`
      alter table $urls rename column url_id to id;
      update $urls set price = 4 where id = 1`);
    await alter(`
      alter table $urls rename column id to url_id;
      update $urls set price = 5 where url_id = 1`);
    const aliases: Readonly<Record<string, string>> = { url_id: 'id', url: 'address' };
    await source.editContract('url', (fields) =>
      fields.map((field) => {
        const alias = aliases[field.name];
        return alias === undefined ? field : { ...field, aliases: [alias] };
      }),
    );
    defined.ignore = await define('ignore', 'ignore', ['widen-type']);
    await restart('ignore');
    rows = await joined(['pause', 'ignore']);
  });

  it('a policy that takes the records goes on, to where that policy had got', () => {
    expect(rows.pause).toEqual(last.ignore);
  });

  it('aliases in the contract takes the rows under other names of their keys, and verify reads them so', async () => {
    expect(rows.ignore.map((row) => row.slice(4))).toEqual([
      [null, '5.00', 'hit', 'hit'],
      [null, '5.00', 'hit', 'hit'],
      [null, '5.00', 'miss', 'hit'],
    ]);
    expect(await pausedOf('ignore', 'urls')).toBe(0);
    const configured = ['--config', defined.ignore.config, '--contracts', source.contracts];
    const [checked, verified] = await Promise.all([
      source.run(...configured, 'contract', 'check', '--against', 'registry'),
      source.run(...configured, 'verify', '--joins'),
    ]);
    expect(checked.output).toContain('url (dimension urls)');
    expect(checked.output).not.toContain('is a key');
    expect(verified).toMatchObject({ code: 0 });
  });

  it('the wider type in the contract widens the column of the table, and has the value that was refused', async () => {
    expect(rows.ignore.map((row) => row[1])).toEqual([1991, 3_000_000_000, 1991]);
    const { rows: columns } = await source.trino.query(
      `select data_type from information_schema.columns
       where table_schema = 'lake' and table_name = '${defined.ignore.table}' and column_name = 'user_birth_year'`,
    );
    expect(columns).toEqual([['bigint']]);
    const { rows: old } = await source.trino.query(
      `select user_birth_year from ${defined.ignore.table} where duration_ms = 1 order by session_id`,
    );
    expect(old).toEqual([[1990], [1980], [1990]]);
    const sent = await source.trino.query(`select count(*) from ${defined.ignore.table}`);
    expect(sent.rows).toEqual([[round * 3]]);
  });
});

describe('a registry that holds the rows to a level', () => {
  it('stops the connector at an incompatible change, until apply frees the subject', async () => {
    const subject = `${source.topicOf('users')}-value`;
    await registry.setCompatibility(subject, 'FULL');
    await source.database.query(`
      alter table ${source.name}.users drop column tier, add column tier int not null default 5;
      update ${source.name}.users set name = 'last' where user_id = 1`);
    const status = async (): Promise<string> => {
      const url = `${endpoints.connectUrl}/connectors/${source.name}/status`;
      return (await fetch(url)).text();
    };
    await until('the task has failed', async () => (await status()).includes('FAILED'));
    expect(await status()).toMatch(/registry answered 409/);
    const applied = await source.apply();
    expect(applied).toMatchObject({ code: 0 });
    expect(applied.output).toContain(`subject ${subject}: level FULL -> NONE`);
    await source.followed();
    expect(await status()).not.toContain('FAILED');
  });
});
