import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let here: string;

/** A copy of the command in a place of its own, with nothing but a shell around it. */
beforeEach(async () => {
  here = await mkdtemp(join(tmpdir(), 'tributary-wrapper-'));
  await copyFile('tributary', join(here, 'tributary'));
  await mkdir(join(here, 'bin'));
  await symlink('/usr/bin/dirname', join(here, 'bin/dirname'));
  await mkdir(join(here, 'cli'));
  const main = 'console.log(process.argv.slice(2)); process.exitCode = 3;';
  await writeFile(join(here, 'cli/main.ts'), main);
});
afterEach(() => rm(here, { recursive: true }));

function run() {
  const { status, stdout, stderr } = spawnSync(join(here, 'tributary'), ['status', '--json'], {
    env: { PATH: join(here, 'bin') },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

async function setUp(): Promise<void> {
  await mkdir(join(here, 'node_modules/.bin'), { recursive: true });
  await writeFile(join(here, 'node_modules/.package-lock.json'), '{}');
}

it('without its packages it ends with 78 and says how to install them', async () => {
  await symlink(process.execPath, join(here, 'bin/node'));
  const { status, stderr } = run();
  expect({ status, stderr }).toEqual({
    status: 78,
    stderr: expect.stringMatching(/not installed: run 'make setup' in \//) as unknown,
  });
});

it('without a Node it ends with 78 and says which one it needs', async () => {
  await setUp();
  expect(run()).toMatchObject({
    status: 78,
    stderr: expect.stringMatching(/Node 24\.18 or newer: install it/) as unknown,
  });
});

it('likewise with a Node that is too old', async () => {
  await setUp();
  const old = '#!/bin/sh\nexit 1\n';
  await writeFile(join(here, 'bin/node'), old, { mode: 0o755 });
  expect(run()).toMatchObject({ status: 78, stderr: expect.stringContaining('24.18') as unknown });
});

it.each(['bin', 'node_modules/.bin'])(
  'with a Node in %s it runs the command, and ends as that does',
  async (folder) => {
    await setUp();
    await symlink(process.execPath, join(here, folder, 'node'));
    expect(run()).toEqual({ status: 3, stdout: "[ 'status', '--json' ]\n", stderr: '' });
  },
);
