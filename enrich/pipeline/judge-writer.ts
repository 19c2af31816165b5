import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import type { ContractSet } from '../config/check-contracts.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { judgeSchema } from '../core/judge-schema.ts';
import type { Misfit, SchemaVerdict } from '../core/judge-schema.ts';
import { columnPaths, misfitOf } from './plan-table.ts';

/** What the policy makes of a writer's schema, given a contract as it stands and as it has grown to. */
export type JudgeWriter = (base: Contract, current: Contract, writer: AvroObject) => SchemaVerdict;

/**
 * Judges writers' schemas by the policy of the stream and by its table as it stands; where there is no table yet, it will
 * take all that the policy allows. The pipeline and the commands that foretell it ask this alone.
 */
export function judgeWriters(of: {
  config: PipelineConfig;
  contracts: Pick<ContractSet, 'dimensions'>;
  metadata: TableMetadata | undefined;
}): JudgeWriter {
  const { config, contracts, metadata } = of;
  const { dimensions } = contracts;
  const { evolution } = config.stream;
  const misfit = (stream: Contract, field: string): Misfit | undefined =>
    metadata === undefined ? undefined : misfitOf({ config, stream, dimensions, metadata, field });
  const columns = metadata === undefined ? new Set<string>() : columnPaths(metadata);
  return (base, current, writer) =>
    judgeSchema({ base, current, writer, evolution, misfit, columns });
}
