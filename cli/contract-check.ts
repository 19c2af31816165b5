import { sourceColumns } from '../connectors/source-columns.ts';
import { checkSourceColumns } from '../enrich/config/check-source-columns.ts';
import { withContractNames } from '../enrich/config/contract-names.ts';
import type { DimensionConfig, PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { checkRecords } from '../schemas/check-contract.ts';
import type { OlderContract } from '../schemas/check-contract.ts';
import { isTransitive } from '../schemas/compatibility-level.ts';
import type { Contract } from '../schemas/contract.ts';
import { valueSubject } from '../schemas/register-contracts.ts';
import type { CompatibilityLevel, RegisteredSchema, Registry } from '../schemas/registry.ts';
import { configAtRef, orAway } from './against.ts';
import type { Against } from './against.ts';
import { previewAtRef, previewInCatalog, reportOnTable } from './contract-table.ts';
import { EXIT } from './exit-code.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { look } from './look.ts';
import { openSchemaRegistry } from './open-lake.ts';
import { isBreaking, renderReports } from './contract-text.ts';
import type { ContractReport } from './contract-text.ts';
import { terminal } from './terminal.ts';

type CheckOptions = ConfigOptions & {
  against: Against;
  mode?: CompatibilityLevel;
  json?: boolean;
};

const defaultLevel: CompatibilityLevel = 'BACKWARD';

/** Tells what every contract of pipeline.yaml breaks that stood before; exit code 1 where something breaks. */
export async function checkAgainst(options: CheckOptions): Promise<void> {
  const loaded = await loadConfig(options);
  const { against } = options;
  const reports =
    against.kind === 'git'
      ? await reportsOnGit(loaded, options, against.ref)
      : await orAway(reportsOnRegistry(loaded, options), 'without the network: --against git:main');
  const text = options.json === true ? JSON.stringify(reports, null, 2) : renderReports(reports);
  terminal.print(text);
  if (reports.some(({ findings }) => findings.some(isBreaking)))
    process.exitCode = EXIT.failedCheck;
}

async function reportsOnGit(
  loaded: LoadedConfig,
  options: CheckOptions,
  ref: string,
): Promise<ContractReport[]> {
  const { config, contracts } = loaded;
  const older = await configAtRef(options, ref);
  const { avroSchema } = older.contracts.stream;
  const stream = reportOnStream(
    { config, contract: contracts.stream },
    {
      against: `git ${ref}`,
      level: options.mode ?? defaultLevel,
      older: [{ label: ref, avroSchema }],
    },
  );
  return [stream, reportOnTable(previewAtRef(loaded, older, ref))];
}

function reportOnStream(
  { config, contract }: { config: PipelineConfig; contract: Contract },
  of: { against: string; level: CompatibilityLevel; older: readonly OlderContract[] },
): ContractReport {
  const { against, level, older } = of;
  const report = { contract: contract.name, role: `stream ${config.stream.topic}`, against };
  if (older.length === 0) return { ...report, level: 'none', findings: [] };
  return { ...report, level, findings: checkRecords(contract, older, level) };
}

async function reportsOnRegistry(
  loaded: LoadedConfig,
  options: CheckOptions,
): Promise<ContractReport[]> {
  const { config, contracts } = loaded;
  const registry = openSchemaRegistry(config);
  const ask = async (): Promise<ContractReport[]> => {
    const reports = [await askOfStream(registry, { config, contract: contracts.stream }, options)];
    for (const dimension of config.dimensions) {
      const contract = contractOf(contracts.dimensions, dimension);
      reports.push(await askOfDimension(registry, dimension, contract));
    }
    return reports;
  };
  const reports = await look(`the schema registry at ${config.registry.url}`, ask());
  return [...reports, reportOnTable((await previewInCatalog(loaded)).preview)];
}

/** What the stream's contract breaks that is registered; without a mode the subject's own level counts. */
export async function askOfStream(
  registry: Registry,
  of: { config: PipelineConfig; contract: Contract },
  { mode }: { mode?: CompatibilityLevel },
): Promise<ContractReport> {
  const subject = valueSubject(of.config.stream.topic);
  const level = mode ?? levelOr(await registry.compatibility(subject));
  const older = (await versionsHeld(registry, subject, level)).map(labelled);
  return reportOnStream(of, { against: subject, level, older });
}

async function versionsHeld(
  registry: Registry,
  subject: string,
  level: CompatibilityLevel,
): Promise<RegisteredSchema[]> {
  if (isTransitive(level)) return registry.versions(subject);
  const latest = await registry.latest(subject);
  return latest === undefined ? [] : [latest];
}

/** A registry that was never told a level says NONE, and would let everything in. */
function levelOr(level: CompatibilityLevel): CompatibilityLevel {
  return level === 'NONE' ? defaultLevel : level;
}

function labelled({ version, avroSchema }: RegisteredSchema): OlderContract {
  return { label: `version ${version}`, avroSchema };
}

/** The other side is the row that Debezium registered last. */
async function askOfDimension(
  registry: Registry,
  dimension: DimensionConfig,
  contract: Contract,
): Promise<ContractReport> {
  const against = valueSubject(dimension.topic);
  const report = { contract: contract.name, role: `dimension ${dimension.name}`, against };
  const latest = await registry.latest(against);
  if (latest === undefined) return { ...report, level: 'none', findings: [] };
  const columns = sourceColumns(withContractNames(contract, latest.avroSchema));
  if (columns === undefined) {
    const message = `version ${latest.version} of ${against} is no Debezium envelope; is ${dimension.topic} its topic?`;
    throw new EnrichError('config', message);
  }
  const version = `version ${latest.version}`;
  const findings = checkSourceColumns({ dimension, contract, columns, against: version });
  return { ...report, level: 'BACKWARD', findings };
}

function contractOf(contracts: ReadonlyMap<string, Contract>, { name }: DimensionConfig): Contract {
  const contract = contracts.get(name);
  if (contract === undefined) throw new Error(`the contract of dimension ${name} was loaded`);
  return contract;
}
