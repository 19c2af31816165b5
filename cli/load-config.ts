import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { formatIssues } from '../configuration/config-issue.ts';
import { checkContracts } from '../enrich/config/check-contracts.ts';
import type { ContractSet } from '../enrich/config/check-contracts.ts';
import { parsePipelineFile } from '../enrich/config/load-pipeline.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { loadContract } from '../schemas/load-contracts.ts';
import { environment } from './environment.ts';

export type ConfigOptions = { config: string; contracts: string };

export type LoadedConfig = { config: PipelineConfig; contracts: ContractSet };

/** pipeline.yaml and the contracts it names, both validated. Errors: `config`, with every finding. */
export async function loadConfig(options: ConfigOptions): Promise<LoadedConfig> {
  const config = await loadPipelineFile(options.config);
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
  const problems = checkContracts(config, contracts);
  if (problems.length > 0) {
    throw new EnrichError(
      'config',
      [`${options.config} does not fit the contracts in ${options.contracts}:`, ...problems].join(
        '\n  ',
      ),
    );
  }
  return { config, contracts };
}

async function loadPipelineFile(file: string): Promise<PipelineConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const message = `cannot read ${file}; name another pipeline file with --config`;
    throw new EnrichError('config', message, { cause });
  }
  const parsed = parsePipelineFile(text, environment, (path) => readFileSync(path, 'utf8'));
  if (parsed.kind === 'valid') return parsed.config;
  throw new EnrichError('config', formatIssues(file, parsed.issues));
}
