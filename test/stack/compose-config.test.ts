import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { componentNames } from '../../stack/components.ts';
import { repository } from './compose-file.ts';

/** The implementations of Compose that this machine has; TRIBUTARY_COMPOSE adds one by its path. */
const candidates: readonly (readonly [string, ...string[]])[] = [
  ['docker', 'compose'],
  ['docker-compose'],
  ...(process.env['TRIBUTARY_COMPOSE'] === undefined
    ? []
    : ([[process.env['TRIBUTARY_COMPOSE']]] as const)),
];
const installed = candidates.filter(
  ([file, ...args]) => spawnSync(file, [...args, 'version']).status === 0,
);

test('every Compose on this machine accepts docker-compose.yml', ({ skip }) => {
  skip(installed.length === 0, 'neither docker compose nor docker-compose is installed');
  for (const [file, ...args] of installed) {
    const output = execFileSync(file, [...args, '-f', 'docker-compose.yml', 'config'], {
      cwd: repository,
      encoding: 'utf8',
    });
    const { services } = parse(output) as { services: Record<string, { depends_on?: object }> };
    expect(Object.keys(services)).toEqual(expect.arrayContaining([...componentNames, 'tributary']));
    expect(services['tributary']?.depends_on).toMatchObject({
      apply: { condition: 'service_completed_successfully' },
    });
  }
});
