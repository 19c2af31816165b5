import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { isUnavailable } from '../enrich/pipeline/retry.ts';
import type { Contract } from '../schemas/contract.ts';
import { readAtRef } from './git-file.ts';
import { look } from './look.ts';

/** The older side: the registry, or the files as they stand at a ref of git. */
export type Against = { kind: 'registry' } | { kind: 'git'; ref: string };

/** The value of `--against`. Errors: a usage error that says what is expected. */
export function parseAgainst(text: string): Against {
  if (text === 'registry') return { kind: 'registry' };
  const [, ref] = /^git:([^-\s][^\s]*)$/.exec(text) ?? [];
  if (ref === undefined) {
    throw new InvalidArgumentError('expected registry or git:REF, such as git:main.');
  }
  return { kind: 'git', ref };
}

/**
 * A contract as it stood at a ref of git; undefined where that has none. Errors: `config` for a ref that is none, and for
 * a file that is no Avro record.
 */
export async function contractAtRef(of: {
  directory: string;
  name: string;
  ref: string;
}): Promise<Contract | undefined> {
  const { directory, name, ref } = of;
  const file = `${name}.avsc`;
  const text = await readAtRef({ directory, file, ref });
  if (text === undefined) return undefined;
  const path = join(directory, file);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) {
      return { name, avroSchema: parsed as Contract['avroSchema'] };
    }
  } catch (cause) {
    throw new EnrichError('config', `${path} at ${ref} is not JSON`, { cause });
  }
  throw new EnrichError('config', `${path} at ${ref} is not an Avro record`);
}

/** Where a ref lacks what would be compared: told, since what is not compared would pass for good. */
export function nothingAtRef(ref: string, what: string): EnrichError {
  const message =
    `git ${ref} does not have ${what}, so there is nothing to compare with: name a ref that does, or say ` +
    'with --config and --contracts where they are';
  return new EnrichError('config', message);
}

/** What the schema registry answers. Errors: `config` where it is away, with what else there is. */
export async function askRegistry<T>(
  { registry: { url } }: PipelineConfig,
  { config }: { config: string },
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await look(`the schema registry at ${url}`, ask());
  } catch (cause) {
    if (!isUnavailable(cause)) throw cause;
    const message =
      `the schema registry at ${url} cannot be asked: start it, mend registry.url in ${config}, or compare ` +
      'with what git has: --against git:main';
    throw new EnrichError('config', message, { cause });
  }
}
