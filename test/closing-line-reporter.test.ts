import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const vitest = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs');
const reporter = join(import.meta.dirname, 'closing-line-reporter.ts');

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tributary-closing-'));
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

/** Runs a suite of these files and returns its last line and exit code. */
async function runSuite(
  name: string,
  files: Readonly<Record<string, string>>,
): Promise<{ last: string | undefined; code: number | null }> {
  const folder = join(root, name);
  await mkdir(folder);
  const config = "export default { test: { globals: true, globalSetup: ['set-up.js'] } };";
  const all = {
    'set-up.js': "export default () => () => console.log('torn down');",
    ...files,
    'vitest.config.js': config,
    'package.json': '{"type":"module"}',
  };
  for (const [file, text] of Object.entries(all)) await writeFile(join(folder, file), text);
  const args = ['run', '--root', folder, '--reporter=default', `--reporter=${reporter}`];
  const { stdout, status } = spawnSync(process.execPath, [vitest, ...args], { encoding: 'utf8' });
  return { last: stdout.trimEnd().split('\n').at(-1), code: status };
}

test('a green suite ends with its count and zero', async () => {
  const suite = await runSuite('green', {
    'a.test.js': "test('a', () => {}); test('b', () => {})",
  });
  expect(suite).toEqual({ last: '2 passed, 0 failed', code: 0 });
});

test('failed and skipped tests are counted, and the exit code is not zero', async () => {
  const suite = await runSuite('mixed', {
    'a.test.js':
      "test('a', () => {}); test('b', () => { throw new Error('no') }); test.skip('c', () => {})",
  });
  expect(suite).toEqual({ last: '1 passed, 1 failed, 1 skipped', code: 1 });
});

test('a file that does not load is a failure', async () => {
  const suite = await runSuite('unloadable', {
    'a.test.js': "test('a', () => {})",
    'b.test.js': "throw new Error('no')",
  });
  expect(suite).toEqual({ last: '1 passed, 1 failed', code: 1 });
});

test('a set-up that fails is a failure', async () => {
  const suite = await runSuite('set-up', {
    'set-up.js': "export default () => { throw new Error('no stack') };",
    'a.test.js': "test('a', () => {})",
  });
  expect(suite).toEqual({ last: '0 passed, 1 failed', code: 1 });
});
