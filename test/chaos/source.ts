import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { parse, stringify } from 'yaml';
import { deleteOtherRows, seeded, seededFlags } from '../pipeline/lake.ts';
import { repository } from '../stack/compose-file.ts';
import { endpoints } from '../stack/endpoints.ts';
import type { LoadSize } from './load.ts';
import type { Round } from './round.ts';

/** The source database, as its owner. */
export const sourceAddress = {
  host: '127.0.0.1',
  port: endpoints.postgresPort,
  user: 'app',
  password: 'app',
  database: 'app',
} as const;

export const sourceUrl = `postgres://app:app@127.0.0.1:${endpoints.postgresPort}/app`;

/** Rows of the source tables at the start of a round. */
export const sourceSize: LoadSize = seeded;

/** Brings the source tables to their rows, and has the one real connector follow them. */
export async function seedSource(
  { directory, names }: Pick<Round, 'directory' | 'names'>,
  must: Round['must'],
): Promise<void> {
  const client = new Client({ connectionString: sourceUrl });
  await client.connect();
  try {
    await deleteOtherRows(client);
  } finally {
    await client.end();
  }
  await must('generate', 'tables', ...seededFlags);
  const shipped = await readFile(join(repository, 'connectors/connectors.yaml'), 'utf8');
  const config = parse(shipped) as { topics: Record<string, unknown> };
  config.topics['stream'] = names.topic;
  config.topics['stream_partitions'] = 6;
  const file = join(directory, 'connectors.yaml');
  await writeFile(file, stringify(config));
  const flags = ['--connectors', file];
  try {
    await must('connectors', 'apply', ...flags);
  } catch (error) {
    // An earlier round may have failed between a lost slot and its remedy.
    if (!String(error).includes('resnapshot --all')) throw error;
    await must('connectors', 'resnapshot', '--all', ...flags);
    await must('connectors', 'apply', ...flags);
  }
}
