import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const BENCHES = [
  'fill',
  'fresh',
  'group',
  'join',
  'load',
  'main',
  'peer',
  'recovery',
  'restart',
  'soak',
];
const WAIT_MS_MAX = 60_000;

type Ended = { code: number; stdout: string; stderr: string };

async function run(bench: string, ...args: string[]): Promise<Ended> {
  try {
    const ran = await promisify(execFile)(process.execPath, [`bench/${bench}.ts`, ...args]);
    return { code: 0, ...ran };
  } catch (error) {
    return error as Ended;
  }
}

describe('the words of a bench', () => {
  it.concurrent.each(BENCHES)('%s tells what it does', { timeout: WAIT_MS_MAX }, async (bench) => {
    const { code, stdout } = await run(bench, '--help');
    expect(code).toBe(0);
    expect(stdout).toContain(`usage: node bench/${bench}.ts`);
  });

  it.concurrent.each([
    ['--rows', '1000,'],
    ['--rows', 'many'],
    ['--rows', '0'],
    ['--skew', 'uniform,even'],
    ['--speed', '9'],
  ])(
    '%s %s is refused with code 2, before anything runs',
    { timeout: WAIT_MS_MAX },
    async (...args) => {
      const { code, stderr } = await run('join', ...args);
      expect(code).toBe(2);
      expect(stderr).toContain('usage: node bench/join.ts');
    },
  );
});
