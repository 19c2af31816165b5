import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { Contract } from '../../schemas/contract.ts';
import { formerColumnNames } from '../../schemas/former-names.ts';
import { deriveTableSchema } from '../../schemas/table-schema.ts';
import type { DimensionColumns } from '../../schemas/table-schema.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { EnrichError } from '../error.ts';

/** What decides about the columns of the table. */
export type PipelineContracts = {
  config: PipelineConfig;
  stream: Contract;
  dimensions: ReadonlyMap<string, Contract>;
};

/** The columns that this configuration writes, with the ids that a new table would give them. */
export function eventFields(options: PipelineContracts): readonly NestedField[] {
  const { config, stream } = options;
  return deriveTableSchema({
    streamContract: stream,
    eventTimeField: config.stream.eventTime,
    dimensions: dimensionColumns(options),
  });
}

/** By column of the table: the names that it had before, as the aliases of the contracts tell. */
export function formerNames(options: PipelineContracts): ReadonlyMap<string, readonly string[]> {
  const dimensions = dimensionColumns(options);
  return formerColumnNames({ streamContract: options.stream, dimensions });
}

function dimensionColumns({ config, dimensions }: PipelineContracts): DimensionColumns[] {
  return config.dimensions.map(({ name, prefix, columns }) => {
    const contract = dimensions.get(name);
    if (contract === undefined) {
      throw new EnrichError('config', `no contract was loaded for dimension ${name}`);
    }
    return { name, prefix, columns, contract };
  });
}
