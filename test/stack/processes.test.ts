import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Command } from '../../stack/components.ts';
import { type Instance, logFile, readInstance } from '../../stack/instance.ts';
import { findRunning, startProcess, stopProcess } from '../../stack/processes.ts';

const env = { PATH: process.env['PATH'], SECRET: 'kept out' };

let root: string;
let runs = 0;
let instance: Instance;
let pidFile: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tributary-run-'));
});

beforeEach(async () => {
  instance = readInstance({
    TRIBUTARY_STACK_DIR: root,
    TRIBUTARY_STACK_INSTANCE: `run-${++runs}`,
  });
  await mkdir(join(instance.run, 'pid'), { recursive: true });
  pidFile = join(instance.run, 'pid/s3.json');
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

function shell(script: string): Command {
  return { file: '/bin/sh', args: ['-c', script], cwd: root, env: { OWN: 'own' } };
}

test('of the logs of earlier starts the last one is kept', async () => {
  for (const word of ['first', 'second', 'third']) {
    await startProcess(instance, 's3', shell(`echo ${word}; exec sleep 60`), env);
    while ((await readFile(logFile(instance, 's3'), 'utf8')) === '') await sleep(10);
    await stopProcess(instance, 's3', { signal: 'SIGTERM' });
  }
  expect(await readFile(logFile(instance, 's3'), 'utf8')).toBe('third\n');
  expect(await readFile(`${logFile(instance, 's3')}.1`, 'utf8')).toBe('second\n');
});

test('a started process is found, and is gone once stopped', async () => {
  const pid = await startProcess(instance, 's3', shell('exec sleep 60'), env);
  expect(await findRunning(instance, 's3')).toBe(pid);
  expect(await stopProcess(instance, 's3', { signal: 'SIGTERM' })).toBe('stopped');
  expect(await findRunning(instance, 's3')).toBeUndefined();
  expect(await stopProcess(instance, 's3', { signal: 'SIGTERM' })).toBe('absent');
});

test('a process that ignores the signal is killed once the wait is over', async () => {
  await startProcess(instance, 's3', shell("trap '' TERM; while :; do sleep 0.1; done"), env);
  await sleep(300);
  const outcome = await stopProcess(instance, 's3', { signal: 'SIGTERM', waitMsMax: 300 });
  expect(outcome).toBe('killed');
  expect(await findRunning(instance, 's3')).toBeUndefined();
});

test('a pid file whose process has ended counts as not running', async () => {
  await startProcess(instance, 's3', shell('exit 0'), env);
  await sleep(300);
  expect(await findRunning(instance, 's3')).toBeUndefined();
});

test('a pid that has passed to another program is neither found nor stopped', async () => {
  await writeFile(pidFile, JSON.stringify({ pid: process.pid, startedAt: '1' }));
  expect(await findRunning(instance, 's3')).toBeUndefined();
  expect(await stopProcess(instance, 's3', { signal: 'SIGKILL' })).toBe('absent');
});

test.each(['', '{"pid":', 'null', '{}'])(
  'a damaged pid file (%j) counts as not running',
  async (text) => {
    await writeFile(pidFile, text);
    expect(await findRunning(instance, 's3')).toBeUndefined();
  },
);

test('a process sees its own variables and none of the caller’s secrets', async () => {
  await startProcess(instance, 's3', shell('echo "$OWN:${SECRET-unset}"'), env);
  await sleep(300);
  expect(await readFile(logFile(instance, 's3'), 'utf8')).toBe('own:unset\n');
});

test('a program that does not exist is an error, not a pid file', async () => {
  const command = { ...shell(''), file: join(root, 'absent') };
  await expect(startProcess(instance, 's3', command, env)).rejects.toThrow('ENOENT');
  expect(await findRunning(instance, 's3')).toBeUndefined();
});
