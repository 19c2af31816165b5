import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

/** A service of docker-compose.yml, as far as the tests ask. */
export type ComposeService = {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly env_file?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
};

/** The repository's top folder. */
export const repository: string = join(import.meta.dirname, '../..');

/** The services of docker-compose.yml by name, with its merge keys resolved and its variables unexpanded. */
export async function readCompose(): Promise<Readonly<Record<string, ComposeService>>> {
  const text = await readFile(join(repository, 'docker-compose.yml'), 'utf8');
  const file = parse(text, { merge: true }) as { services: Record<string, ComposeService> };
  return file.services;
}
