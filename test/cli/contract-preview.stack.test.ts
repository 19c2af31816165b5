import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Preview } from '../../cli/preview-text.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { valueSubject } from '../../schemas/register-contracts.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { stopCleanly } from '../pipeline/command.ts';
import { openLake } from '../pipeline/lake.ts';
import type { Lake } from '../pipeline/lake.ts';
import { endpoints } from '../stack/endpoints.ts';

const CLICKS = 1_500;

const registry = openRegistry({ url: endpoints.registryUrl });
let lake: Lake;
let schemas: string;

beforeAll(async () => {
  lake = await openLake('preview');
  schemas = join(lake.directory, 'schemas');
  await cp('schemas', schemas, { recursive: true });
  const pipeline = await lake.startPipeline();
  await pipeline.ready();
  await lake.sendClicks('--count', String(CLICKS), '--corrupt', '0.01');
  await lake.caughtUp();
  await stopCleanly(pipeline);
});
afterAll(() => lake.close());

type Field = { name: string; type: unknown; default?: unknown; aliases?: string[] };

/** Runs an action with another click contract. */
async function changed<T>(
  change: (fields: Field[]) => Field[],
  action: () => Promise<T>,
): Promise<T> {
  const file = join(schemas, 'click.avsc');
  const text = await readFile(file, 'utf8');
  const click = JSON.parse(text) as { fields: Field[] };
  await writeFile(file, JSON.stringify({ ...click, fields: change(click.fields) }));
  try {
    return await action();
  } finally {
    await writeFile(file, text);
  }
}

const contract = (...args: string[]) => lake.run(['--contracts', schemas, 'contract', ...args]);

async function preview(...args: string[]): Promise<{ code: unknown; preview: Preview }> {
  const { code, stdout, output } = await contract('preview', '--json', ...args);
  if (!stdout.startsWith('{')) throw new Error(output);
  return { code, preview: JSON.parse(stdout) as Preview };
}

const renamed = (fields: Field[]): Field[] =>
  fields.map((f) => (f.name === 'referrer' ? { ...f, name: 'source', aliases: ['referrer'] } : f));

const versions = async () => (await registry.versions(valueSubject(lake.topic))).length;

const clicksSubject = () => valueSubject(lake.topic);
/** How check, preview and a dry run of register end. */
const codes = async (...args: string[]) => [
  (await contract('check', ...args)).code,
  (await preview('--records', '0')).code,
  (await contract('register', '--dry-run', ...args)).code,
];

const campaign: Field = { name: 'campaign', type: ['null', 'string'], default: null };

describe('contract preview', () => {
  it('says that nothing changes, decodes what there is, and writes nothing', async () => {
    const seen = async () => [
      await lake.metadata(),
      await lake.ends(lake.topic),
      await registry.versions(valueSubject(lake.topic)),
    ];
    const before = await seen();
    const { code, preview: shown } = await preview('--records', '100000');
    expect(code).toBe(0);
    expect(shown.table).toMatchObject({ exists: true, columns: [], updates: [] });
    const rows = await lake.count(`select count(*) from ${lake.table}`);
    const rejects = await lake.count(`select count(*) from ${lake.deadLetter}`);
    expect(rejects).toBeGreaterThan(0);
    expect(shown.records).toMatchObject({ records: CLICKS, accepted: rows });
    expect(rows + rejects).toBe(CLICKS);
    expect(await seen()).toEqual(before);
  });

  it('takes as many of the newest records as it is told', async () => {
    expect((await preview('--records', '120')).preview.records?.records).toBe(120);
    expect((await preview('--records', '0')).preview).not.toHaveProperty('records');
  });

  it('counts the records that would be refused newly, and names the field', async () => {
    const nulls = await lake.count(`select count(*) from ${lake.table} where session_id is null`);
    const { code, preview: shown } = await changed(
      (fields) =>
        fields.map((f) => (f.name === 'session_id' ? { name: f.name, type: 'string' } : f)),
      () => preview('--records', '100000'),
    );
    expect(code).toBe(1);
    const newly = shown.records?.refused.filter((each) => each.newly > 0);
    expect(newly).toMatchObject([{ kind: 'contract-violation', newly: nulls, count: nulls }]);
    expect(newly?.[0]?.message).toContain('session_id');
  });

  it('says what Trino says of a column that is renamed, and refuses it where pipeline.yaml does', async () => {
    const policy = await readFile(lake.pipelineFile, 'utf8');
    await writeFile(
      lake.pipelineFile,
      policy.replace(/^ {4}allow: .*$/m, '    allow: [add-field, widen-type, rename-field]'),
    );
    const allowed = await changed(renamed, () => preview('--records', '0'));
    await writeFile(lake.pipelineFile, policy.replace(/^ {4}allow: .*$/m, '    allow: []'));
    const refused = await changed(renamed, () => preview('--records', '0'));
    await writeFile(lake.pipelineFile, policy);
    const [told] = allowed.preview.table.columns;
    expect(told).toMatchObject({ column: 'source', outcome: 'renamed' });
    const reason = "Column 'gone' cannot be resolved";
    await expect(lake.trino.query(`select gone from ${lake.table}`)).rejects.toThrow(reason);
    expect(told?.queries).toContain(reason.replace('gone', 'referrer'));
    expect(refused.code).toBe(1);
    expect(refused.preview.table.columns).toMatchObject([
      { column: 'referrer', outcome: 'left' },
      { column: 'source', outcome: 'refused' },
    ]);
  });

  it('shows the very request: the catalog takes it, and the table is what was told', async () => {
    const { code, preview: shown } = await changed(
      (fields) => [
        ...fields.map((f) => (f.name === 'duration_ms' ? { ...f, type: ['null', 'long'] } : f)),
        campaign,
      ],
      () => preview(),
    );
    expect(code).toBe(0);
    const last = (await lake.metadata())?.lastColumnId ?? 0;
    expect(shown.table.columns).toMatchObject([
      { column: 'duration_ms', outcome: 'widened' },
      { column: 'campaign', outcome: 'added', fieldId: last + 1 },
    ]);
    expect(shown.records).toMatchObject({ unwritten: ['campaign'] });
    const answer = await fetch(`${endpoints.catalogUri}/v1/namespaces/lake/tables/${lake.table}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        identifier: { namespace: ['lake'], name: lake.table },
        requirements: shown.table.requirements,
        updates: shown.table.updates,
      }),
    });
    expect(answer.status).toBe(200);
    const { rows } = await lake.trino.query(
      `select typeof(duration_ms), typeof(campaign), count(campaign), count(*)
       from ${lake.table} group by 1, 2`,
    );
    const count = await lake.count(`select count(*) from ${lake.table}`);
    expect(rows).toEqual([['bigint', 'varchar', 0, count]]);
    const after = await changed(
      (fields) => [...fields, campaign],
      () => preview('--records', '0'),
    );
    expect(after.preview.table.updates).toEqual([]);
  });

  it.each([
    ['KAFKA_BROKERS', '127.0.0.1:1'],
    ['CATALOG_URI', 'http://127.0.0.1:1'],
    ['SCHEMA_REGISTRY_URL', 'http://127.0.0.1:1/apis/ccompat/v7'],
  ])('ends with 78 where %s is away, and says what goes without', async (name, value) => {
    const { code, output } = await lake.run(['contract', 'preview'], { [name]: value });
    expect(code).toBe(78);
    expect(output).toContain('--offline --against git:main');
  });
});

describe('what views of Trino make of it, as the preview tells', () => {
  it('select * is stale once a column is new; a narrow type is kept, and fails beyond it', async () => {
    const [table, all, narrow] = [`${lake.name}_v`, `${lake.name}_all`, `${lake.name}_narrow`];
    const { trino } = lake;
    await trino.query(`create table ${table} (n integer)`);
    await trino.query(`create view ${narrow} as select n from ${table}`);
    await trino.query(`alter table ${table} alter column n set data type bigint`);
    await trino.query(`insert into ${table} values (5000000000)`);
    await expect(trino.query(`select * from ${narrow}`)).rejects.toThrow(/out of range/i);
    await trino.query(`create view ${all} as select * from ${table}`);
    await trino.query(`alter table ${table} add column m integer`);
    await expect(trino.query(`select * from ${all}`)).rejects.toThrow(/stale/);
    for (const view of [all, narrow]) await trino.query(`drop view ${view}`);
    await trino.query(`drop table ${table}`);
  });
});

describe('contract register', () => {
  it('refuses what check refuses, in the same words, and registers nothing', async () => {
    const before = await versions();
    await changed(
      (fields) => [...fields, { name: 'campaign', type: 'string' }],
      async () => {
        const check = await contract('check');
        const register = await contract('register');
        expect([check.code, register.code]).toEqual([1, 1]);
        const told = /(click \(stream[^]*?)\n\n/.exec(check.stdout)?.[1] ?? 'nothing';
        expect(told).toContain('campaign is new and has no default');
        expect(register.stdout).toContain(told);
        expect((await contract('register', '--dry-run')).code).toBe(1);
      },
    );
    expect(await versions()).toBe(before);
  });

  it('says in a dry run what it would do; then does it, once', async () => {
    const before = await versions();
    const subject = valueSubject(lake.topic);
    await changed(
      (fields) => [...fields, campaign],
      async () => {
        const dry = await contract('register', '--dry-run', '--mode', 'FULL');
        expect(dry.stdout).toContain(`${subject}: would be registered as a new version`);
        expect(dry.stdout).toContain('would be held to FULL');
        expect(await versions()).toBe(before);
        expect(await registry.compatibility(subject)).not.toBe('FULL');
        const once = await contract('register', '--mode', 'FULL');
        expect(once.stdout).toMatch(
          /held to FULL from now on[^]*registered as id \d+ version \d+\n$/,
        );
        expect(await registry.compatibility(subject)).toBe('FULL');
        const twice = await contract('register', '--mode', 'FULL');
        expect(twice.stdout).toMatch(/^.*: unchanged, id \d+ version \d+\n$/);
      },
    );
    expect(await versions()).toBe(before + 1);
  });
});

/** The table has the column campaign by now, an optional text. */
describe('check, preview and register judge the table alike, by what the catalog has', () => {
  it('a field that is gone from the registry cannot come back with another type', async () => {
    const { avroSchema } = await loadContract(schemas, 'click');
    await registry.setCompatibility(clicksSubject(), 'NONE');
    await registry.register(clicksSubject(), { ...avroSchema, doc: 'Without a campaign.' });
    const number: Field = { name: 'campaign', type: ['null', 'int'], default: null };
    await changed(
      (fields) => [...fields, number],
      async () => {
        expect(await codes()).toEqual([1, 1, 1]);
        const { stdout } = await contract('check');
        expect(stdout).toMatch(
          /breaks the table \(the catalog\): campaign is string in the table and cannot become int\n/,
        );
      },
    );
  });

  it('a field that the registry has as required may go where the column is optional', async () => {
    const { avroSchema } = await loadContract(schemas, 'click');
    const required = { name: 'campaign', type: 'string', default: 'none' };
    await registry.register(clicksSubject(), {
      ...avroSchema,
      fields: [...avroSchema.fields, required],
    });
    expect(await codes()).toEqual([0, 0, 0]);
    const { stdout } = await contract('check');
    expect(stdout).toMatch(
      /note \(the catalog\): campaign is left: .*; queries: go on; null in rows whose/,
    );
  });

  it('a rename that pipeline.yaml allows by name is a note', async () => {
    const policy = await readFile(lake.pipelineFile, 'utf8');
    const allow = '    allow: [add-field, widen-type, rename-field]';
    await writeFile(lake.pipelineFile, policy.replace(/^ {4}allow: .*$/m, allow));
    const seen = await changed(
      renamed,
      async () => [await codes(), await contract('check')] as const,
    );
    await writeFile(lake.pipelineFile, policy);
    expect(seen[0]).toEqual([0, 0, 0]);
    expect(seen[1].stdout).toMatch(/note \(the catalog\): source is renamed: was referrer/);
  });

  it('a catalog that is away ends each with 78', async () => {
    const away = { CATALOG_URI: 'http://127.0.0.1:1' };
    for (const name of ['check', 'preview', 'register']) {
      const { code, output } = await lake.run(['contract', name], away);
      expect([name, code]).toEqual([name, 78]);
      expect(output).toContain('127.0.0.1:1');
    }
  });
});
