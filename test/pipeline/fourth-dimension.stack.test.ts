import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { openOwnSource } from './own-source.ts';
import type { Defined, OwnSource } from './own-source.ts';

const known = '0a0b0c0d-1111-4222-8333-444455556666';
const changed = '7f000000-0000-4000-8000-00000000abcd';
const deleted = 'deadbeef-0000-4000-8000-000000000001';
const moved = 'deadbeef-0000-4000-8000-000000000002';
const owner = 'cafe0000-0000-4000-8000-00000000f00d';
const later = 'deadbeef-0000-4000-8000-000000000003';

const uuid = { type: 'string', logicalType: 'uuid' };
const optional = (type: unknown): object => ({ type: ['null', type], default: null });
const account = {
  type: 'record',
  name: 'Account',
  namespace: 'tributary',
  doc: 'A row of accounts.',
  fields: [
    { name: 'account_id', type: uuid },
    { name: 'plan', type: 'string', default: 'free' },
    {
      name: 'balance',
      ...optional({ type: 'bytes', logicalType: 'decimal', precision: 14, scale: 2 }),
    },
    { name: 'created', ...optional({ type: 'int', logicalType: 'date' }) },
    { name: 'seats', ...optional('int') },
    { name: 'owner', ...optional(uuid) },
  ],
};

let source: OwnSource;
let defined: Defined;
let pipeline: Pipeline;
beforeAll(async () => {
  source = await openOwnSource('accounts');
  const { name, database } = source;
  await database.query(`
    insert into ${name}.users (user_id, name) values (1, 'ann');
    insert into ${name}.devices (device_id, os) values ('d1', 'linux');
    insert into ${name}.urls (url_id, url, title) values (1, 'https://a.example/', 'a')`);
  await source.mustApply();
  defined = await source.definePipeline('clicks');
  pipeline = await source.startPipeline(defined);
  await pipeline.ready();
  await source.sendClicks([{ duration_ms: 0, user_id: 1, device_id: 'd1' }]);
  await defined.caughtUp();
  await stopCleanly(pipeline);
});
afterAll(() => source.close());

const configured = (): string[] => ['--config', defined.config, '--contracts', source.contracts];

/** Adds the table as the documentation says, and gives what `apply` said first. */
async function addAccounts(): Promise<string> {
  const { name, contracts, database } = source;
  await database.query(`
    create table ${name}.accounts (
      account_id uuid primary key, plan text not null default 'free', balance numeric(14, 2),
      created date, seats int, owner uuid, notes jsonb);
    insert into ${name}.accounts (account_id, plan, balance, created, seats, owner) values
      ('${known}', 'team', 1234567890.50, '2025-02-28', 12, '${owner}'),
      ('${changed}', 'free', -0.01, '1999-12-31', null, null),
      ('${deleted}', 'old', null, null, 1, null),
      ('${moved}', 'moving', 7, '2020-01-01', 2, null)`);
  await writeFile(join(contracts, 'account.avsc'), JSON.stringify(account, null, 2));
  await source.editContract('click', (fields) => [
    ...fields,
    { name: 'account_id', type: ['null', uuid], default: null },
  ]);
  defined = await source.definePipeline('clicks', (document) => {
    document.addIn(['dimensions'], {
      name: 'accounts',
      topic: source.topicOf('accounts'),
      contract: 'account',
      primary_key: 'account_id',
      stream_field: 'account_id',
      columns: ['plan', 'balance', 'created', 'seats', 'owner'],
      prefix: 'account_',
      evolution: { allow: ['add-field'] },
    });
  });
  await source.editConnectors((document) => document.addIn(['tables'], `${name}.accounts`));
  return (await source.apply()).output;
}

async function joined(from: number): Promise<readonly (readonly unknown[])[]> {
  const { rows } = await source.trino.query(
    `select session_id, cast(account_id as varchar), _accounts_match, account_plan,
       cast(account_balance as varchar), cast(account_created as varchar), account_seats,
       cast(account_owner as varchar), _users_match, _devices_match, _urls_match
     from ${defined.table} where duration_ms = ${from} order by session_id`,
  );
  return rows;
}

/** One click for each spelling of an account, all of the same user, device and page. */
async function click(round: number, accounts: readonly (string | null)[]): Promise<void> {
  await source.sendClicks(
    accounts.map((account_id, index) => ({
      account_id,
      session_id: String(index),
      duration_ms: round,
      user_id: 1,
      device_id: 'd1',
      url: 'https://a.example/',
    })),
  );
  await defined.caughtUp();
}

it('takes the statements that apply names, a contract, an entry and a table name', async () => {
  const said = await addAccounts();
  const statements = [...said.matchAll(/run: ([^;\n]+)/g)].map(([, statement]) => statement);
  expect(statements).toEqual([
    `alter publication ${source.name} add table ${source.name}.accounts`,
    `grant select on ${source.name}.accounts to cdc`,
  ]);
  for (const statement of statements) await source.database.query(statement ?? '');
  const applied = await source.apply();
  expect(applied).toMatchObject({ code: 0 });
  expect(applied.output).toContain(`rows: ${source.name}.accounts read`);
  const shown = await source.must(...configured(), 'validate');
  expect(shown.stdout).toMatch(/account_balance +decimal\(14, 2\)/);
  const checked = await source.must(...configured(), 'contract', 'check');
  expect(checked.stdout).toMatch(/dimension accounts/);
});

it('joins clicks by uuid, however they spell it', async () => {
  pipeline = await source.startPipeline(defined);
  await pipeline.ready();
  const unknown = '00000000-0000-4000-8000-000000000000';
  await click(1, [known, known.toUpperCase(), changed, unknown, null]);
  const others = ['hit', 'hit', 'hit'];
  const team = ['hit', 'team', '1234567890.50', '2025-02-28', 12, owner, ...others];
  const none = ['miss', null, null, null, null, null, ...others];
  expect(await joined(1)).toEqual([
    ['0', known, ...team],
    ['1', known, ...team],
    ['2', changed, 'hit', 'free', '-0.01', '1999-12-31', null, null, ...others],
    ['3', unknown, ...none],
    ['4', null, ...none],
  ]);
});

it('is null, match and all, in rows from before', async () => {
  const { rows } = await source.trino.query(
    `select account_id, _accounts_match, account_plan, _users_match from ${defined.table} where duration_ms = 0`,
  );
  expect(rows).toEqual([[null, null, null, 'hit']]);
});

it('follows updates, deletes, inserts and changes of the key', async () => {
  const { name, database } = source;
  await database.query(`
    update ${name}.accounts set plan = 'pro', balance = 999999999999.99 where account_id = '${changed}';
    delete from ${name}.accounts where account_id = '${deleted}';
    update ${name}.accounts set account_id = '${later}' where account_id = '${moved}'`);
  await source.followed();
  const lag = 'tributary_dimension_lag_records{dimension="accounts"}';
  await until('every change is applied', async () => {
    const rows = await pipeline.metric('tributary_state_rows{dimension="accounts"}');
    return rows === 3 && (await pipeline.metric(lag)) === 0;
  });
  await click(2, [changed, deleted, moved, later]);
  expect((await joined(2)).map((row) => row.slice(1, 6))).toEqual([
    [changed, 'hit', 'pro', '999999999999.99', '1999-12-31'],
    [deleted, 'miss', null, null, null],
    [moved, 'miss', null, null, null],
    [later, 'hit', 'moving', '7.00', '2020-01-01'],
  ]);
});

it('is verified by replaying its topic as the others are', async () => {
  await stopCleanly(pipeline);
  const { stdout } = await source.must(...configured(), 'verify', '--joins');
  expect(stdout).toContain('accounts');
});
