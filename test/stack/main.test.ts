import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repository } from './compose-file.ts';

type Ended = { code: number; stderr: string };

/** Runs the launcher on a folder of its own. */
function launch(folder: string, ...args: string[]): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const env = { ...process.env, TRIBUTARY_STACK_DIR: folder, TRIBUTARY_STACK_INSTANCE: 'words' };
  const main = join(repository, 'stack/main.ts');
  execFile(process.execPath, [main, ...args], { env }, (error, _stdout, stderr) => {
    resolve({ code: Number(error?.code ?? 0), stderr });
  });
  return promise;
}

test.each([
  [['nope'], "no command 'nope'"],
  [['up', 'nope'], "no component 'nope'"],
  [['down', '--wiep'], '--wiep'],
  [['up', '--wipe'], '--wipe'],
  [['down', '--wipe', 'kafka'], '--wipe'],
  [[], 'usage:'],
])('%j is a wrong word, which is named', async (args, word) => {
  const { code, stderr } = await launch(tmpdir(), ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(word);
});

test('down --wipe removes the state and the ledger with the data that they belong to', async () => {
  const root = await mkdtemp(join(tmpdir(), 'tributary-wipe-'));
  for (const folder of ['data/kafka', 'state', 'ledger']) {
    await mkdir(join(root, 'run/words', folder), { recursive: true });
    await writeFile(join(root, 'run/words', folder, 'file'), 'kept');
  }
  await mkdir(join(root, 'run/other'));
  const { code } = await launch(root, 'down', '--wipe');
  expect(code).toBe(0);
  expect(await readdir(join(root, 'run'))).toEqual(['other']);
  await rm(root, { recursive: true });
});
