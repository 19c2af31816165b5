import type { Contract } from '../../schemas/contract.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { CARRIED_BYTES_MAX } from '../core/join.ts';
import type { TopicDescription } from '../source/log.ts';
import type { BatchLimits, WorkerSpec } from '../worker/click-worker.ts';
import type { PipelineTables } from './tables.ts';

/**
 * What each worker of a pipeline is told, once. What a commit may hold is divided among them, so that memory is
 * bounded as configured, however many there are (INVARIANTS.md 12).
 */
export function workerSpecs(options: {
  config: PipelineConfig;
  contract: Contract;
  stream: TopicDescription;
  tables: PipelineTables;
}): WorkerSpec[] {
  const { config, contract, stream, tables } = options;
  const { workers } = config;
  const { clusterId, topic, topicId } = stream;
  const { events, deadLetter } = tables;
  const shared = {
    identity: { clusterId, topic, topicId },
    contract,
    limits: shareOf(config.commit, workers),
    carriedBytesMax: Math.floor(CARRIED_BYTES_MAX / workers),
    dimensions: joinDimensions(config),
    deadLetterFieldIds: deadLetter.fieldIds,
    location: events.metadata.location,
  };
  return Array.from({ length: workers }, (_, index) => ({ index, ...shared }));
}

function shareOf({ rowsMax, bytesMax, intervalMs }: BatchLimits, workers: number): BatchLimits {
  return {
    rowsMax: Math.max(1, Math.floor(rowsMax / workers)),
    bytesMax: Math.floor(bytesMax / workers),
    intervalMs,
  };
}

function joinDimensions({ dimensions }: PipelineConfig): WorkerSpec['dimensions'] {
  return dimensions.map(({ name, streamField, normaliser, columns, prefix }) => ({
    name,
    streamField,
    normaliser,
    columns: columns.map((column) => `${prefix}${column}`),
    matchColumn: `_${name}_match`,
  }));
}
