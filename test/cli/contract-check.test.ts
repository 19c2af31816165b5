import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
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

/** A command over the files in the directory. */
const contract = (...args: string[]): Promise<CliResult> => {
  const [config, schemas] = [join(directory, 'pipeline.yaml'), join(directory, 'schemas')];
  return runCli(['--config', config, '--contracts', schemas, 'contract', ...args]);
};
const check = (...args: string[]): Promise<CliResult> => contract('check', ...args);

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
  return contract('preview', '--offline', '--against', `git:${ref}`);
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

/** Runs an action while pipeline.yaml allows these changes of the stream's table too. */
async function allowing(kinds: string, action: () => Promise<void>): Promise<void> {
  const file = join(directory, 'pipeline.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('allow: [add-field', `allow: [${kinds}, add-field`));
  try {
    await action();
  } finally {
    await writeFile(file, text);
  }
}

const checkRenamed = () =>
  changed('click', '"name": "referrer"', '"name": "source", "aliases": ["referrer"]', () =>
    check('--against', 'git:HEAD'),
  );
const checkOptional = () =>
  changed(
    'click',
    '"name": "device_id", "type": "string"',
    '"name": "device_id", "type": ["null", "string"]',
    () => check('--against', 'git:HEAD'),
  );

describe('contract check against git', () => {
  it('ends with 0 where nothing changed, and names the contract and the table', async () => {
    const { code, stdout, stderr } = await check('--against', 'git:HEAD');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('click (stream clicks) against git HEAD, BACKWARD: ok');
    expect(stdout).toContain('lake.clicks (table) against git HEAD: ok');
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
      /breaks the table \(git HEAD\): duration_ms is int in the table and cannot become string\n/,
    );
    expect(stdout.match(/\n {4}instead: keep the field as it is and add one/g)).toHaveLength(2);
    expect(stdout).toMatch(/\n2 breaking changes\n$/);
  });

  it('names the table’s column of a dimension', async () => {
    const { code, stdout } = await changed('url', '"scale": 2', '"scale": 4', () =>
      check('--against', 'git:HEAD'),
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /breaks the table .*: url_price is decimal\(12, 2\) in the table and cannot become/,
    );
  });

  it('takes a narrower decimal, which the table’s column holds', async () => {
    const { code } = await changed('url', '"precision": 12', '"precision": 9', () =>
      check('--against', 'git:HEAD'),
    );
    expect(code).toBe(0);
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
    const [click, table] = JSON.parse(stdout) as unknown[];
    expect(click).toMatchObject({ contract: 'click', level: 'FULL', findings: [] });
    expect(table).toMatchObject({
      contract: 'lake.clicks',
      findings: [{ severity: 'note', field: 'note', rule: 'added', against: 'git HEAD' }],
    });
  });

  it('takes what pipeline.yaml allows by name for no break, and what it does not for one', async () => {
    const refused = await checkOptional();
    expect(refused.stdout).toMatch(
      /breaks the table .*: device_id .* may be null, and pipeline.yaml does not allow that\n {4}instead: add make-optional/,
    );
    expect([refused.code, (await checkRenamed()).stdout]).toEqual([
      1,
      expect.stringMatching(/source is added/),
    ]);
    await allowing('rename-field, make-optional', async () => {
      const taken = [await checkRenamed(), await checkOptional()];
      expect(taken.map(({ code }) => code)).toEqual([0, 0]);
      expect(taken[0]?.stdout).toMatch(
        /note \(git HEAD\): source is renamed: was referrer; .* queries: that name referrer fail/,
      );
    });
  });

  it.each(['click', 'user'])(
    'follows the contract %s to another name, and sees what changed',
    async (name) => {
      const renamed = `${name}_v2`;
      const [from, to] = [name, renamed].map((each) => join(directory, 'schemas', `${each}.avsc`));
      const pipeline = join(directory, 'pipeline.yaml');
      const text = await readFile(pipeline, 'utf8');
      await rename(from as string, to as string);
      await writeFile(pipeline, text.replace(`contract: ${name}\n`, `contract: ${renamed}\n`));
      try {
        const [field, other] =
          name === 'click' ? ['"null", "int"', '"null", "string"'] : ['"int"', '"string"'];
        expect(await check('--against', 'git:HEAD')).toMatchObject({ code: 0 });
        const changedToo = await changed(renamed, field, other, () =>
          check('--against', 'git:HEAD'),
        );
        expect(changedToo.stdout).toMatch(
          /breaks the table .* is int in the table and cannot become string/,
        );
        expect(changedToo.code).toBe(1);
      } finally {
        await rename(to as string, from as string);
        await writeFile(pipeline, text);
      }
    },
  );

  it('follows all contracts to another directory, and sees what changed', async () => {
    const [from, to] = ['schemas', 'contracts'].map((name) => join(directory, name));
    await rename(from as string, to as string);
    try {
      const file = join(to as string, 'click.avsc');
      await writeFile(
        file,
        (await readFile(file, 'utf8')).replace('["null", "int"]', '["null", "string"]'),
      );
      const args = ['--config', join(directory, 'pipeline.yaml'), '--contracts', to as string];
      const { code, stdout } = await runCli([
        ...args,
        'contract',
        'check',
        '--against',
        'git:HEAD',
      ]);
      expect(stdout).toMatch(/breaks the table .* duration_ms is int/);
      expect(code).toBe(1);
    } finally {
      await rename(to as string, from as string);
      await git('checkout', '--quiet', '--', 'schemas/click.avsc');
    }
  });

  it.each(['pipeline.yaml', 'schemas', 'schemas/click.avsc', 'schemas/url.avsc'])(
    'ends with 78 for a ref without %s: not all would be compared',
    async (path) => {
      const { code, stdout, stderr } = await check('--against', `git:${await without(path)}`);
      expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
      expect(stderr).toMatch(/git \w+ does not have .*nothing to compare with/);
    },
  );

  it('ends with 78 for a ref whose contracts make no table, and says so', async () => {
    const ref = await changed('click', '["null", "int"]', '["int", "string"]', async () => {
      await git('add', 'schemas/click.avsc');
      const tree = await git('write-tree');
      await git('reset', '--quiet');
      return git('commit-tree', '-m', 'wrong', tree);
    });
    const { code, stderr } = await check('--against', `git:${ref}`);
    expect(stderr).toMatch(/the files of git \w+ make no table\n.*field duration_ms is a union/);
    expect(code).toBe(78);
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
    await cp('pipeline.yaml', join(outside, 'pipeline.yaml'));
    const args = ['--config', join(outside, 'pipeline.yaml'), '--contracts', outside];
    const { code, stderr } = await runCli([...args, 'contract', 'check', '--against', 'git:HEAD']);
    await rm(outside, { recursive: true });
    expect(code).toBe(78);
    expect(stderr).toMatch(/git cannot read .* at HEAD: .*not a git repository/);
    expect(stderr).not.toMatch(/\n\s*\n/);
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
    expect(stderr).toMatch(/the schema registry http:.* is unreachable; .*--against git:main/);
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
