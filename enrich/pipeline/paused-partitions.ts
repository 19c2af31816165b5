import type { Metrics } from '../metrics.ts';
import type { PipelineStatus } from './pipeline-status.ts';

type Place = { topic: string; partition: number };

/**
 * Partitions that are not read on because the policy for schema changes says so: until the process is started again, with
 * a contract or a policy that takes their records. Seen in `status` and the metrics.
 */
export class PausedPartitions {
  readonly #metrics: Pick<Metrics, 'partitionsPaused'>;
  readonly #status: Pick<PipelineStatus, 'note'>;
  readonly #schemaIds = new Set<number>();
  readonly #byTopic = new Map<string, Set<number>>();

  constructor({
    metrics,
    status,
  }: {
    metrics: Pick<Metrics, 'partitionsPaused'>;
    status: Pick<PipelineStatus, 'note'>;
  }) {
    this.#metrics = metrics;
    this.#status = status;
  }

  add(
    { topic, partition }: Place,
    { schemaId, why, remedy }: { schemaId: number; why: string; remedy: string },
  ): void {
    const partitions = this.#byTopic.get(topic) ?? new Set();
    this.#byTopic.set(topic, partitions.add(partition));
    this.#schemaIds.add(schemaId);
    this.#metrics.partitionsPaused.set({ topic }, partitions.size);
    this.#status.note(`${topic}/${schemaId}`, `paused at ${why}. ${remedy}`);
  }

  has({ topic, partition }: Place): boolean {
    return this.#byTopic.get(topic)?.has(partition) === true;
  }

  /** Whether records with the schema wait. */
  hasSchema(schemaId: number): boolean {
    return this.#schemaIds.has(schemaId);
  }
}
