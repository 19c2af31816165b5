import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { Contract } from '../../schemas/contract.ts';
import { deriveTableSchema } from '../../schemas/table-schema.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { EnrichError } from '../error.ts';

/** The columns that this configuration writes, with the ids that a new table would give them. */
export function eventFields(options: {
  config: PipelineConfig;
  stream: Contract;
  dimensions: ReadonlyMap<string, Contract>;
}): readonly NestedField[] {
  const { config, stream, dimensions } = options;
  return deriveTableSchema({
    streamContract: stream,
    eventTimeField: config.stream.eventTime,
    dimensions: config.dimensions.map(({ name, prefix, columns }) => {
      const contract = dimensions.get(name);
      if (contract === undefined) {
        throw new EnrichError('config', `no contract was loaded for dimension ${name}`);
      }
      return { name, prefix, columns, contract };
    }),
  });
}
