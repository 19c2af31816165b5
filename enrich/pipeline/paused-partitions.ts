import type { Metrics } from '../metrics.ts';
import type { Place } from '../source/awaited-partitions.ts';
import type { DimensionTopic } from './change-intake.ts';
import type { PipelineStatus } from './pipeline-status.ts';

/**
 * Partitions that are not read on because the policy for schema changes says so: until the process is started again, with
 * a contract or a policy that takes their records. Seen in `status` and the metrics.
 */
export class PausedPartitions {
  readonly #metrics: Pick<Metrics, 'partitionsPaused'>;
  readonly #status: Pick<PipelineStatus, 'note'>;
  readonly #byTopic = new Map<string, Set<number>>();

  constructor({
    topics,
    metrics,
    status,
  }: {
    topics: readonly Pick<DimensionTopic, 'description'>[];
    metrics: Pick<Metrics, 'partitionsPaused'>;
    status: Pick<PipelineStatus, 'note'>;
  }) {
    this.#metrics = metrics;
    this.#status = status;
    // What a state before this one stood still at may be no obstacle any more.
    for (const { description } of topics) {
      metrics.partitionsPaused.set({ topic: description.topic }, 0);
    }
  }

  /** Each reason is seen once, however many partitions have it. */
  add({ topic, partition }: Place, { why, remedy }: { why: string; remedy: string }): void {
    const partitions = this.#byTopic.get(topic) ?? new Set();
    this.#byTopic.set(topic, partitions.add(partition));
    this.#metrics.partitionsPaused.set({ topic }, partitions.size);
    this.#status.note(why, `paused at ${why}. ${remedy}`);
  }

  has({ topic, partition }: Place): boolean {
    return this.#byTopic.get(topic)?.has(partition) === true;
  }
}
