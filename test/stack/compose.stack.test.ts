import { execFileSync } from 'node:child_process';
import { DockerComposeEnvironment, Wait } from 'testcontainers';
import { describe, expect, it } from 'vitest';
import { openTrino } from '../../verify/trino.ts';
import { repository } from './compose-file.ts';

/** Pulls gigabytes of images, so it runs only where it is asked for and an engine answers. */
function canRun(): boolean {
  if (process.env['TRIBUTARY_TEST_COMPOSE'] !== '1') return false;
  try {
    execFileSync('docker', ['info'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!canRun())('docker compose up (TRIBUTARY_TEST_COMPOSE=1)', () => {
  it('brings enriched clicks to Trino', { timeout: 900_000 }, async () => {
    const environment = await new DockerComposeEnvironment(repository, 'docker-compose.yml')
      .withWaitStrategy('trino', Wait.forHealthCheck())
      .withStartupTimeout(600_000)
      .up();
    try {
      const trino = openTrino({
        url: 'http://127.0.0.1:18088',
        user: 'test',
        catalog: 'lake',
        schema: 'lake',
      });
      await expect
        .poll(
          async () => {
            const { rows } = await trino.query(
              "select count(*) from clicks where _users_match = 'hit'",
            );
            return Number(rows[0]?.[0]);
          },
          { timeout: 240_000, interval: 5_000 },
        )
        .toBeGreaterThan(0);
    } finally {
      await environment.down();
    }
  });
});
