import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from './run-cli.ts';

// Each call starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-cli-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** pipeline.yaml with one text in it replaced. */
async function pipelineFile(name: string, from: string, to: string): Promise<string> {
  const text = await readFile('pipeline.yaml', 'utf8');
  expect(text).toContain(from);
  const file = join(directory, name);
  await writeFile(file, text.replace(from, to));
  return file;
}

describe('help', () => {
  it('lists the commands with examples and exit codes', async () => {
    const { code, stdout, stderr } = await runCli(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of ['run', 'validate', 'connectors', 'status', 'verify', 'query', 'demo']) {
      expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    }
    expect(stdout).toContain('Exit codes: 0 ok, 1 failed check');
  });
});

describe('the default directory in the help', () => {
  it.each([
    [['generate', 'clicks'], '/ledger'],
    [['demo'], ''],
  ])('of %j is that of the instance', async (args, below) => {
    const environment = { TRIBUTARY_STACK_INSTANCE: 'other' };
    const { stdout } = await runCli([...args, '--help'], environment);
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(`by default .stack/run/other${below}`);
    expect(stdout).not.toContain('.stack/run/demo');
  });
});

describe('query', () => {
  it.each([
    ['a statement without columns, which says done', {}, '', 'done\n'],
    ['no rows', { columns: [{ name: 'n', type: 'bigint' }] }, '  n\n  -\n', ''],
  ])('of %s', async (_what, answer, stdout, stderr) => {
    const server = createServer((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ id: '1', ...answer }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const said = await runCli(['query', 'alter table a'], { TRINO_URL: url });
      expect(said).toEqual({ code: 0, stdout, stderr });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('a usage error', () => {
  it('ends with 2, says what is meant and points to the help', async () => {
    const { code, stdout, stderr } = await runCli(['validate', '--shwo']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/unknown option '--shwo'.*--show.*--help/s);
  });
});

describe('a wrong argument', () => {
  it.each([
    [['dlq', 'list', '--since', 'yesterday'], /--since.*expected a time such as/],
    [['dlq', 'list', '--limit', 'many'], /--limit.*expected a whole number/],
    [['dlq', 'show'], /missing required argument 'record'/],
    [['dlq', 'show', 'clicks/1'], /expected TOPIC\/PARTITION\/OFFSET/],
    [['dlq', 'show', 'clicks/-1/5'], /expected TOPIC\/PARTITION\/OFFSET/],
    [['dlq', 'list', '--kind', 'nosuch'], /--kind.*truncated.*contract-violation.*missing-key/],
    [['dlq', 'replay', '--kind', 'nosuch'], /--kind.*truncated/],
    [['connectors', 'resnapshot'], /name tables of connectors.yaml, or --all/],
    [['connectors', 'resnapshot', 'public.users', '--all'], /and not both/],
    [['generate', 'clicks', '--rate', '0'], /--rate.*expected a whole number above 0/],
  ])('of %j ends with 2 and says what is expected', async (args, message) => {
    const { code, stderr } = await runCli(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('a mistake in the environment', () => {
  it.each([
    [
      ['validate'],
      { TRIBUTARY_PORT_OFFSET: 'abc' },
      /TRIBUTARY_PORT_OFFSET must be a whole number/,
    ],
    [
      ['connectors', 'status'],
      { DATABASE_PASSWORD_FILE: '/nope' },
      /connectors.yaml:\d+:\d+ database.password: /,
    ],
    [['generate', 'tables'], { POSTGRES_URL: 'hush' }, /POSTGRES_URL: expected an address such as/],
    [
      ['query', 'select 1'],
      { TRINO_URL: 'http://me:hush@trino' },
      /TRINO_URL: expected no user or password/,
    ],
  ])('ends %j with 78 and one clear line', async (args, environment, message) => {
    const { code, stderr } = await runCli(args, environment);
    expect(code).toBe(78);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at |hush/);
  });

  it('leaves the help alone, which shows no password', async () => {
    const environment = {
      TRIBUTARY_PORT_OFFSET: 'abc',
      POSTGRES_URL: 'postgres://me:hush@postgres/app',
      TRINO_URL: 'http://me:hush@trino',
    };
    const { code, stdout } = await runCli(['generate', 'clicks', '--help'], environment);
    expect(code).toBe(0);
    expect(stdout).not.toContain('hush');
    expect(stdout).toMatch(/--config <file>/);
  });
});

describe('validate', () => {
  it('shows the table and the configuration in force, from the environment, without secrets', async () => {
    const environment = { KAFKA_BROKERS: 'kafka-7:9092', S3_SECRET_ACCESS_KEY: 'hunter2' };
    const { code, stdout, stderr } = await runCli(['validate', '--show'], environment);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('pipeline.yaml is valid: pipeline clicks');
    expect(stdout).toMatch(/user_country +string/);
    expect(stdout).toMatch(/_kafka_offset +long +yes/);
    expect(stdout).toMatch(/url_price +decimal/);
    expect(stdout).toContain('kafka-7:9092');
    expect(stdout).toContain('"secretAccessKey": "***"');
    expect(stdout).not.toContain('hunter2');
  });

  it('ends with 78 and gives every finding with its line', async () => {
    const file = await pipelineFile('two.yaml', 'rows: 500000', 'rows: none\n  sizes: 3');
    const { code, stdout, stderr } = await runCli(['--config', file, 'validate']);
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toMatch(/two\.yaml:\d+:\d+ commit\.rows: expected an integer.*got "none"/);
    expect(stderr).toMatch(
      /two\.yaml:\d+:\d+ commit\.sizes: unknown key "sizes"; did you mean "size"/,
    );
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('ends with 78 where pipeline.yaml does not fit the contracts', async () => {
    const file = await pipelineFile('column.yaml', 'columns: [name,', 'columns: [nmae,');
    const { code, stderr } = await runCli(['--config', file, 'validate']);
    expect(code).toBe(78);
    expect(stderr).toMatch(/no field "nmae"; did you mean "name"/);
  });
});

describe('verify', () => {
  it('ends with 78 before anything is read where there is no such ledger', async () => {
    const { code, stderr } = await runCli(['verify', '--ledger', '/nonexistent']);
    expect(code).toBe(78);
    expect(stderr).toContain('cannot read the ledger at /nonexistent');
  });
});

describe('run', () => {
  it('ends with 78 and says how to name another file when there is none', async () => {
    const { code, stderr } = await runCli(['--config', 'nowhere.yaml', 'run']);
    expect(code).toBe(78);
    expect(stderr).toContain(
      `cannot read nowhere.yaml in ${process.cwd()}; name another file with --config`,
    );
  });
});
