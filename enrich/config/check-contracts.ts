import { didYouMean } from '../../configuration/did-you-mean.ts';
import { contractFields } from '../../schemas/contract-field.ts';
import type { ContractField } from '../../schemas/contract-field.ts';
import type { Contract } from '../../schemas/contract.ts';
import type { DimensionConfig, PipelineConfig } from './pipeline-config.ts';

/** The contracts of a pipeline: its stream's, and one for each dimension by the dimension's name. */
export type ContractSet = { stream: Contract; dimensions: ReadonlyMap<string, Contract> };

/** Types that the state and the join both look up. */
const JOINABLE: ReadonlySet<string> = new Set(['long', 'string', 'uuid']);

/**
 * Says, one line a finding, where pipeline.yaml names what the contracts do not have or joins what cannot
 * be joined. Empty when all fits.
 */
export function checkContracts(config: PipelineConfig, contracts: ContractSet): string[] {
  const stream = contractFields(contracts.stream);
  return [
    ...checkEventTime(config, stream),
    ...config.dimensions.flatMap((dimension) => {
      const contract = contracts.dimensions.get(dimension.name);
      return contract === undefined
        ? [`dimension ${dimension.name}: its contract ${dimension.contract} was not loaded`]
        : checkDimension(dimension, stream, contractFields(contract));
    }),
  ];
}

function checkEventTime(config: PipelineConfig, stream: readonly ContractField[]): string[] {
  const { eventTime, contract } = config.stream;
  const { field, problem } = find(stream, eventTime, `stream.event_time: contract ${contract}`);
  if (field === undefined) return [problem];
  return field.meaning === 'micros' && !field.nullable
    ? []
    : [`stream.event_time: "${eventTime}" must be a required timestamp, not ${describe(field)}`];
}

function checkDimension(
  dimension: DimensionConfig,
  stream: readonly ContractField[],
  row: readonly ContractField[],
): string[] {
  const where = `dimension ${dimension.name}`;
  const ofRow = `${where}: contract ${dimension.contract}`;
  const problems: string[] = [];
  if (dimension.columns.length === 0) {
    problems.push(`${where}: columns is empty; name at least one column to carry`);
  }
  for (const column of [dimension.primaryKey, ...dimension.columns]) {
    const { field, problem } = find(row, column, ofRow);
    if (field === undefined) problems.push(problem);
  }
  const key = find(row, dimension.joinKey, `${ofRow} (join_key)`);
  const probe = find(stream, dimension.streamField, `${where}: stream contract (stream_field)`);
  if (key.field === undefined) return [...problems, key.problem];
  if (probe.field === undefined) return [...problems, probe.problem];
  return [...problems, ...checkJoin(dimension, probe.field, key.field)];
}

function checkJoin(dimension: DimensionConfig, probe: ContractField, key: ContractField): string[] {
  const where = `dimension ${dimension.name}`;
  if (!JOINABLE.has(probe.tableType) || probe.tableType !== key.tableType) {
    return [
      `${where}: the stream's "${probe.name}" (${describe(probe)}) cannot be joined to "${key.name}" ` +
        `(${describe(key)}); both must be long, or both string or uuid`,
    ];
  }
  return dimension.normaliser !== 'none' && probe.tableType !== 'string'
    ? [`${where}: normaliser ${dimension.normaliser} needs a string key, not ${describe(probe)}`]
    : [];
}

function find(
  fields: readonly ContractField[],
  name: string,
  where: string,
): { field: ContractField | undefined; problem: string } {
  const field = fields.find((candidate) => candidate.name === name);
  const names = fields.map((candidate) => candidate.name);
  const problem = `${where} has no field "${name}"${didYouMean(name, names)}`;
  return { field, problem };
}

function describe(field: ContractField): string {
  return field.nullable ? `optional ${field.tableType}` : field.tableType;
}
