import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { readCommitted } from '../enrich/core/position.ts';
import type { Log } from '../enrich/source/log.ts';
import { openPlatformaticLog } from '../enrich/source/platformatic-log.ts';
import { systemClock } from './environment.ts';
import { kafkaOptions } from './open-lake.ts';

/** A log for a command that only looks; faults that it rides out are not told. */
export function openToolLog(config: PipelineConfig): Promise<Log> {
  const { random } = systemClock;
  return openPlatformaticLog({ ...kafkaOptions(config), random, onFault: () => undefined });
}

/** How many records of the stream topic the table has not committed yet. */
export async function readLag(
  config: PipelineConfig,
  log: Log,
  catalog: Catalog,
): Promise<{ records: bigint; partitions: number }> {
  const { namespace, name } = config.table;
  const bounds = await log.bounds(config.stream.topic);
  const loaded = await catalog.loadTable({ namespace, name });
  return lagOf(config, bounds, loaded?.metadata);
}

/** How many records lie within these bounds of the stream topic that this table, if there is one, has not. */
export function lagOf(
  config: PipelineConfig,
  bounds: Awaited<ReturnType<Log['bounds']>>,
  metadata: TableMetadata | undefined,
): { records: bigint; partitions: number } {
  const committed = metadata === undefined ? undefined : readCommitted(metadata, config.pipeline);
  let records = 0n;
  for (const [partition, { startOffset, endOffset }] of bounds) {
    records += endOffset - (committed?.next.get(partition) ?? startOffset);
  }
  return { records, partitions: bounds.size };
}
