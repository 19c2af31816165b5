import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from './run-cli.ts';
import type { CliResult } from './run-cli.ts';

// Each call starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const run = promisify(execFile);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-check-'));
  await cp('schemas', join(directory, 'schemas'), { recursive: true });
  await cp('pipeline.yaml', join(directory, 'pipeline.yaml'));
  await git('init', '--quiet');
  await git('add', 'schemas/*.avsc', 'pipeline.yaml');
  await git('commit', '--quiet', '-m', 'contracts');
});
afterAll(() => rm(directory, { recursive: true }));

const check = (...args: string[]): Promise<CliResult> =>
  runCli(['--contracts', join(directory, 'schemas'), 'contract', 'check', ...args]);

async function git(...args: string[]): Promise<string> {
  const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  return (await run('git', ['-C', directory, ...author, ...args])).stdout.trim();
}

/** A commit that lacks these files. */
async function without(path: string): Promise<string> {
  await git('rm', '-r', '--quiet', '--cached', path);
  const tree = await git('write-tree');
  await git('reset', '--quiet');
  return git('commit-tree', '-m', 'less', tree);
}

function preview(ref: string): Promise<CliResult> {
  const config = ['--config', join(directory, 'pipeline.yaml')];
  const contracts = ['--contracts', join(directory, 'schemas')];
  const args = ['contract', 'preview', '--offline', '--against', `git:${ref}`];
  return runCli([...config, ...contracts, ...args]);
}

/** Runs an action while one text in a contract is another. */
async function changed<T>(
  name: string,
  from: string,
  to: string,
  action: () => Promise<T>,
): Promise<T> {
  const file = join(directory, 'schemas', `${name}.avsc`);
  const text = await readFile(file, 'utf8');
  expect(text).toContain(from);
  await writeFile(file, text.replace(from, to));
  try {
    return await action();
  } finally {
    await writeFile(file, text);
  }
}

describe('contract check against git', () => {
  it('ends with 0 where nothing changed, and names each contract', async () => {
    const { code, stdout, stderr } = await check('--against', 'git:HEAD');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('click (stream clicks) against git HEAD, BACKWARD: ok');
    expect(stdout).toContain('user (dimension users) against git HEAD, columns alone: ok');
    expect(stdout).toMatch(/\nnothing breaks\n$/);
  });

  it('ends with 1 and says which field breaks whom, and how to do it instead', async () => {
    const { code, stdout } = await changed('click', '["null", "int"]', '["null", "string"]', () =>
      check('--against', 'git:HEAD'),
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /breaks old data \(HEAD\): duration_ms is null or string now, and int in/,
    );
    expect(stdout).toMatch(
      /breaks the table \(HEAD\): duration_ms column duration_ms is int in the/,
    );
    expect(stdout).toMatch(/\n {4}instead: keep the field as it is and add one/);
    expect(stdout).toMatch(/\n2 breaking changes\n$/);
  });

  it('names the table’s column of a dimension', async () => {
    const { code, stdout } = await changed('url', '"scale": 2', '"scale": 4', () =>
      check('--against', 'git:HEAD'),
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /price column url_price is decimal\(12, 2\) in the table and cannot become/,
    );
  });

  it('ends with 0 for an addition, and prints JSON', async () => {
    const field = '{ "name": "note", "type": ["null", "string"], "default": null },';
    const { code, stdout } = await changed(
      'click',
      '{ "name": "user_id"',
      `${field} { "name": "user_id"`,
      () => check('--against', 'git:HEAD', '--mode', 'FULL', '--json'),
    );
    expect(code).toBe(0);
    const [click] = JSON.parse(stdout) as unknown[];
    expect(click).toMatchObject({
      contract: 'click',
      level: 'FULL',
      findings: [{ severity: 'note', field: 'note', rule: 'added', against: 'HEAD' }],
    });
  });

  it('says of a contract that is new that there is no older one', async () => {
    const { code, stdout } = await check('--against', `git:${await without('schemas/url.avsc')}`);
    expect(code).toBe(0);
    expect(stdout).toMatch(/url \(dimension urls\) against git \w+: there is no older one/);
    expect(stdout).toMatch(/\nnothing breaks\n$/);
  });

  it('ends with 78 for a ref that has none of the contracts: nothing was compared', async () => {
    const { code, stdout, stderr } = await check('--against', `git:${await without('schemas')}`);
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toMatch(/git \w+ does not have the contracts in .*nothing to compare with/);
  });

  it('ends with 78 for a ref that is none', async () => {
    const { code, stdout, stderr } = await check('--against', 'git:nowhere');
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toContain('git knows no commit nowhere: name a branch, a tag or a commit');
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('ends with 78 where the contracts are in no repository', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'tributary-check-'));
    await cp('schemas', outside, { recursive: true });
    const args = ['--contracts', outside, 'contract', 'check', '--against', 'git:HEAD'];
    const { code, stderr } = await runCli(args);
    await rm(outside, { recursive: true });
    expect(code).toBe(78);
    expect(stderr).toMatch(/git cannot read .* at HEAD: .*not a git repository/);
  });
});

describe('contract preview against git alone', () => {
  it('ends with 0 where nothing changed', async () => {
    const { code, stdout } = await preview('HEAD');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /as it stands in git HEAD: 26 columns unchanged\n\nnothing is refused\n$/,
    );
  });

  it.each(['pipeline.yaml', 'schemas/click.avsc', 'schemas/url.avsc'])(
    'ends with 78 for a ref without %s: there would be nothing to compare with',
    async (file) => {
      const { code, stdout, stderr } = await preview(await without(file));
      expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
      expect(stderr).toMatch(`${file}, so there is nothing to compare with`);
    },
  );
});

describe('contract check', () => {
  it('ends with 78 where the registry is away, and says what else there is', async () => {
    const { code, stderr } = await runCli(['contract', 'check'], {
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1/apis/ccompat/v7',
    });
    expect(code).toBe(78);
    expect(stderr).toMatch(/the schema registry at http:.* cannot be asked: .*--against git:main/);
  });

  it.each([
    [['--against', 'main'], /--against.*expected registry or git:REF/],
    [['--against', 'git:'], /--against.*expected registry or git:REF/],
    [['--against', 'git:--output=x'], /--against.*expected registry or git:REF/],
    [['--mode', 'LOOSE'], /--mode.*FULL_TRANSITIVE/],
  ])('ends %j with 2 and says what is expected', async (args, message) => {
    const { code, stderr } = await check(...args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});
