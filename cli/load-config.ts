import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { formatIssues, pathText } from '../configuration/config-issue.ts';
import { checkContracts } from '../enrich/config/check-contracts.ts';
import type { ContractSet } from '../enrich/config/check-contracts.ts';
import { parsePipelineFile } from '../enrich/config/load-pipeline.ts';
import type { PipelineFile } from '../enrich/config/load-pipeline.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { loadContract } from '../schemas/load-contracts.ts';
import { environment } from './environment.ts';

export type ConfigOptions = { config: string; contracts: string };

export type LoadedConfig = { config: PipelineConfig; contracts: ContractSet };

/** pipeline.yaml and the contracts it names, both validated. Errors: `config`, with every finding. */
export async function loadConfig(options: ConfigOptions): Promise<LoadedConfig> {
  const { config, locate } = await loadPipelineFile(options.config);
  const stream = await loadContract(options.contracts, config.stream.contract);
  const dimensions = new Map(
    await Promise.all(
      config.dimensions.map(
        async ({ name, contract }) =>
          [name, await loadContract(options.contracts, contract)] as const,
      ),
    ),
  );
  const contracts = { stream, dimensions };
  const issues = checkContracts(config, contracts).map(({ path, message }) => ({
    ...locate(path),
    path: pathText(path),
    message,
  }));
  if (issues.length > 0) throw new EnrichError('config', formatIssues(options.config, issues));
  return { config, contracts };
}

async function loadPipelineFile(file: string): Promise<Extract<PipelineFile, { kind: 'valid' }>> {
  return parsePipelineText(file, await readConfigFile(file, '--config'));
}

/** A pipeline file that stands elsewhere than on disk; `file` names it in what is told. Errors: `config`. */
export function parsePipelineText(
  file: string,
  text: string,
): Extract<PipelineFile, { kind: 'valid' }> {
  const parsed = parsePipelineFile(text, environment(), readSecretFile);
  if (parsed.kind === 'valid') return parsed;
  throw new EnrichError('config', formatIssues(file, parsed.issues));
}

/** What a `NAME_FILE` variable names. */
export function readSecretFile(path: string): string {
  return readFileSync(path, 'utf8');
}

/** The text of a configuration file. Errors: `config`, naming the option that takes another one. */
export async function readConfigFile(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const where = isAbsolute(file) ? '' : ` in ${process.cwd()}`;
    const message = `cannot read ${file}${where}; name another file with ${option}`;
    throw new EnrichError('config', message, { cause });
  }
}
