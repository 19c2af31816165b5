import { sourceColumns } from '../connectors/source-columns.ts';
import { checkSourceColumns } from '../enrich/config/check-source-columns.ts';
import { withContractNames } from '../enrich/config/contract-names.ts';
import type { DimensionConfig, PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { checkColumns, checkRecords } from '../schemas/check-contract.ts';
import type { OlderContract } from '../schemas/check-contract.ts';
import { isTransitive } from '../schemas/compatibility-level.ts';
import type { Contract } from '../schemas/contract.ts';
import { valueSubject } from '../schemas/register-contracts.ts';
import type { CompatibilityLevel, RegisteredSchema, Registry } from '../schemas/registry.ts';
import { askRegistry, contractAtRef, nothingAtRef } from './against.ts';
import type { Against } from './against.ts';
import { EXIT } from './exit-code.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { openSchemaRegistry } from './open-lake.ts';
import { isBreaking, isFirst, renderReports } from './contract-text.ts';
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
      : await reportsOnRegistry(loaded, options);
  const text = options.json === true ? JSON.stringify(reports, null, 2) : renderReports(reports);
  terminal.print(text);
  if (reports.some(({ findings }) => findings.some(isBreaking)))
    process.exitCode = EXIT.failedCheck;
}

async function reportsOnGit(
  { config, contracts }: LoadedConfig,
  options: CheckOptions,
  ref: string,
): Promise<ContractReport[]> {
  const older = async ({ name }: Contract): Promise<OlderContract | undefined> => {
    const contract = await contractAtRef({ directory: options.contracts, name, ref });
    return contract === undefined ? undefined : { label: ref, avroSchema: contract.avroSchema };
  };
  const level = options.mode ?? defaultLevel;
  const stream = await older(contracts.stream);
  const reports = [
    reportOnStream(
      { config, contract: contracts.stream },
      {
        against: `git ${ref}`,
        level,
        older: stream === undefined ? [] : [stream],
      },
    ),
  ];
  for (const dimension of config.dimensions) {
    const contract = contractOf(contracts.dimensions, dimension);
    reports.push(
      reportOnColumns({ config, dimension, contract }, await older(contract), `git ${ref}`),
    );
  }
  // One that is new is fine; where all are, it is the ref or the directory that is wrong, and no change would be seen.
  if (reports.every(isFirst)) throw nothingAtRef(ref, `the contracts in ${options.contracts}`);
  return reports;
}

function reportOnStream(
  { config, contract }: { config: PipelineConfig; contract: Contract },
  of: { against: string; level: CompatibilityLevel; older: readonly OlderContract[] },
): ContractReport {
  const { against, level, older } = of;
  const report = { contract: contract.name, role: `stream ${config.stream.topic}`, against };
  const newest = older.at(-1);
  if (newest === undefined) return { ...report, level: 'none', findings: [] };
  const place = { table: tableName(config), columnOf: (field: string): string => field };
  const findings = [
    ...checkRecords(contract, older, level),
    ...checkColumns(contract, newest, place),
  ];
  return { ...report, level, findings };
}

type Dimension = { config: PipelineConfig; dimension: DimensionConfig; contract: Contract };

/** Nobody writes records with a dimension's contract: only the columns of the table can break. */
function reportOnColumns(
  { config, dimension, contract }: Dimension,
  older: OlderContract | undefined,
  against: string,
): ContractReport {
  const report = { contract: contract.name, role: `dimension ${dimension.name}`, against };
  if (older === undefined) return { ...report, level: 'none', findings: [] };
  const findings = checkColumns(contract, older, {
    table: tableName(config),
    columnOf: (field) => `${dimension.prefix}${field}`,
    carried: dimension.columns,
  });
  return { ...report, level: 'NONE', findings };
}

async function reportsOnRegistry(
  { config, contracts }: LoadedConfig,
  options: CheckOptions,
): Promise<ContractReport[]> {
  const registry = openSchemaRegistry(config);
  return askRegistry(config, options, async () => {
    const reports = [await askOfStream(registry, { config, contract: contracts.stream }, options)];
    for (const dimension of config.dimensions) {
      const contract = contractOf(contracts.dimensions, dimension);
      reports.push(await askOfDimension(registry, dimension, contract));
    }
    return reports;
  });
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

function tableName({ table }: PipelineConfig): string {
  return [...table.namespace, table.name].join('.');
}
