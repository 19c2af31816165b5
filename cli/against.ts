import { basename, dirname, join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { EnrichError } from '../enrich/error.ts';
import { isUnavailable } from '../enrich/pipeline/retry.ts';
import type { Contract } from '../schemas/contract.ts';
import { readAtRef } from './git-file.ts';
import { parsePipelineText } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';

/** The older side: the registry and the catalog, or the files as they stand at a ref of git. */
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
 * The pipeline file as it stood at a ref of git, and the contracts that it named then, whatever they are called now.
 * Errors: `config` for a ref that is none, for one that lacks these files, and for files that are wrong.
 */
export async function configAtRef(options: ConfigOptions, ref: string): Promise<LoadedConfig> {
  const { config: path, contracts: directory } = options;
  const text = await readAtRef({ directory: dirname(path), file: basename(path), ref });
  if (text === undefined) throw nothingAtRef(ref, path);
  const { config } = parsePipelineText(`${path} at ${ref}`, text);
  const stream = await contractAtRef({ directory, name: config.stream.contract, ref });
  const dimensions = new Map<string, Contract>();
  for (const { name, contract } of config.dimensions) {
    dimensions.set(name, await contractAtRef({ directory, name: contract, ref }));
  }
  return { config, contracts: { stream, dimensions } };
}

async function contractAtRef(of: {
  directory: string;
  name: string;
  ref: string;
}): Promise<Contract> {
  const { directory, name, ref } = of;
  const file = `${name}.avsc`;
  const path = join(directory, file);
  const text = await readAtRef({ directory, file, ref });
  if (text === undefined) throw nothingAtRef(ref, path);
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

/** What is not compared would pass for good. */
function nothingAtRef(ref: string, what: string): EnrichError {
  const message =
    `git ${ref} does not have ${what}, so there is nothing to compare with: name a ref that does, or say ` +
    'with --config and --contracts where they are';
  return new EnrichError('config', message);
}

/**
 * What the action gives, which asks what may be away: that keeps a command from telling anything, which is no verdict on
 * the contracts. Errors: `config` then, with what to do instead.
 */
export async function orAway<T>(action: Promise<T>, instead: string): Promise<T> {
  try {
    return await action;
  } catch (cause) {
    if (!isUnavailable(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EnrichError('config', `${reason}; ${instead}`, { cause });
  }
}
