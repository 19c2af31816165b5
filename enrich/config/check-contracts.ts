import { typeText } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import type { IssuePath } from '../../configuration/config-issue.ts';
import { didYouMean } from '../../configuration/did-you-mean.ts';
import { contractFields, isScalarField } from '../../schemas/contract-field.ts';
import type { ContractField } from '../../schemas/contract-field.ts';
import type { Contract } from '../../schemas/contract.ts';
import { partitionField, sortField } from '../pipeline/table-layout.ts';
import { eventFields } from '../pipeline/event-fields.ts';
import type { DimensionConfig, PipelineConfig } from './pipeline-config.ts';

/** The contracts of a pipeline: its stream's, and one for each dimension by the dimension's name. */
export type ContractSet = { stream: Contract; dimensions: ReadonlyMap<string, Contract> };

/** Types that the state and the join both look up. */
const JOINABLE: ReadonlySet<string> = new Set(['long', 'string', 'uuid']);

/** What pipeline.yaml says at a path, and why it cannot be. */
export type Finding = { path: IssuePath; message: string };

/**
 * Says where pipeline.yaml names what the contracts do not have, joins what cannot be joined, or lays the
 * table out by columns that it will not have. Empty when all fits.
 */
export function checkContracts(config: PipelineConfig, contracts: ContractSet): Finding[] {
  const stream = contractFields(contracts.stream);
  const findings = [
    ...checkEventTime(config, stream),
    ...config.dimensions.flatMap((dimension, index) => {
      const path = ['dimensions', index];
      const contract = contracts.dimensions.get(dimension.name);
      return contract === undefined
        ? [{ path, message: `contract ${dimension.contract} was not loaded` }]
        : checkDimension({ dimension, path, stream, row: contractFields(contract) });
    }),
  ];
  return findings.length > 0 ? findings : checkTable(config, contracts);
}

function checkEventTime(config: PipelineConfig, stream: readonly ContractField[]): Finding[] {
  const { eventTime, contract } = config.stream;
  const path = ['stream', 'event_time'];
  const field = stream.find(({ name }) => name === eventTime);
  if (field === undefined) return [{ path, message: missing(eventTime, contract, stream) }];
  const fits = isScalarField(field) && field.meaning === 'micros' && !field.nullable;
  const message = `"${eventTime}" must be a required timestamp, not ${describe(field)}`;
  return fits ? [] : [{ path, message }];
}

function checkDimension(options: {
  dimension: DimensionConfig;
  path: IssuePath;
  stream: readonly ContractField[];
  row: readonly ContractField[];
}): Finding[] {
  const { dimension, path, stream, row } = options;
  const { contract, primaryKey, joinKey, streamField, columns } = dimension;
  const findings: Finding[] = [];
  const need = (name: string, ...key: IssuePath): ContractField | undefined => {
    const field = row.find((candidate) => candidate.name === name);
    if (field === undefined) {
      findings.push({ path: [...path, ...key], message: missing(name, contract, row) });
    } else if (!isScalarField(field)) {
      const message = `"${name}" is a ${field.column}: a dimension takes flat fields only`;
      findings.push({ path: [...path, ...key], message });
    }
    return field;
  };
  if (columns.length === 0) {
    const message = 'the list is empty; name at least one column to carry';
    findings.push({ path: [...path, 'columns'], message });
  }
  const primary = need(primaryKey, 'primary_key');
  columns.forEach((column, index) => need(column, 'columns', index));
  const key = joinKey === primaryKey ? primary : need(joinKey, 'join_key');
  const probe = stream.find(({ name }) => name === streamField);
  if (probe === undefined) {
    const message = missing(streamField, 'of the stream', stream);
    findings.push({ path: [...path, 'stream_field'], message });
  }
  if (key === undefined || probe === undefined) return findings;
  return [...findings, ...checkJoin({ dimension, path, probe, key })];
}

function checkJoin(options: {
  dimension: DimensionConfig;
  path: IssuePath;
  probe: ContractField;
  key: ContractField;
}): Finding[] {
  const { dimension, path, probe, key } = options;
  const isJoinable = isScalarField(probe) && JOINABLE.has(probe.tableType);
  if (!isJoinable || probe.tableType !== key.tableType) {
    const message =
      `the stream's "${probe.name}" (${describe(probe)}) cannot be joined to "${key.name}" ` +
      `(${describe(key)}); both must be long, or both string or uuid`;
    return [{ path: [...path, 'stream_field'], message }];
  }
  if (dimension.normaliser === 'none' || probe.tableType === 'string') return [];
  const message = `normaliser ${dimension.normaliser} needs a string key, not ${describe(probe)}`;
  return [{ path: [...path, 'normaliser'], message }];
}

/** Asks the same functions that lay out a new table. */
function checkTable(config: PipelineConfig, contracts: ContractSet): Finding[] {
  const findings: Finding[] = [];
  const attempt = <T>(path: IssuePath, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof Error && 'kind' in error && error.kind === 'config')) throw error;
      findings.push({ path, message: error.message });
      return undefined;
    }
  };
  const fields = attempt(['dimensions'], () => eventFields({ config, ...contracts }));
  if (fields === undefined) return findings;
  const names = new Set<string>();
  config.table.partition.forEach((text, index) => {
    const path = ['table', 'partition', index];
    const name = attempt(path, () => partitionField(fields, text, index))?.name;
    if (name === undefined) return;
    if (names.has(name)) findings.push({ path, message: `"${text}" stands here twice` });
    names.add(name);
  });
  config.table.sort.forEach((column, index) =>
    attempt(['table', 'sort', index], () => sortField(fields, column)),
  );
  return findings;
}

function missing(name: string, contract: string, fields: readonly ContractField[]): string {
  const names = fields.map((candidate) => candidate.name);
  return `contract ${contract} has no field "${name}"${didYouMean(name, names)}`;
}

function describe(field: ContractField): string {
  const type = typeText(field.tableType);
  return field.nullable ? `optional ${type}` : type;
}
