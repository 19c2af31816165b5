import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { repository } from '../stack/compose-file.ts';
import { freePort, until } from '../pipeline/command.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-run-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('a log that cannot be written stops nothing: its disk is full, its reader has gone', async () => {
  for (const stdout of ['full', 'gone'] as const) {
    const port = String(await freePort());
    const child = spawn(join(repository, 'tributary'), ['run'], {
      cwd: repository,
      stdio: ['ignore', stdout === 'full' ? openSync('/dev/full', 'w') : 'pipe', 'ignore'],
      env: {
        ...process.env,
        HTTP_PORT: port,
        KAFKA_BROKERS: `127.0.0.1:${await freePort()}`,
        STATE_DIRECTORY: join(directory, stdout),
      },
    });
    child.stdout?.destroy();
    const ended = once(child, 'exit');
    const livez = async (): Promise<boolean> =>
      (await fetch(`http://127.0.0.1:${port}/livez`).catch(() => undefined))?.ok === true;
    await until('it listens', livez);
    // It waits for Kafka, and says so again and again.
    await until('it has waited', async () => {
      const readyz = await fetch(`http://127.0.0.1:${port}/readyz`);
      return (await readyz.text()).startsWith('connecting to Kafka');
    });
    expect(await livez()).toBe(true);
    child.kill('SIGTERM');
    expect((await ended)[0]).toBe(0);
  }
}, 60_000);
