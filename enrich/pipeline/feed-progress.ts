import type { Place } from '../source/awaited-partitions.ts';

type PartitionProgress = {
  nextOffset: bigint;
  /** As the log was last seen; undefined before the first look. */
  endOffset: bigint | undefined;
  /** What is to be reached before clicks are joined; undefined once it is, or need not be. */
  goalOffset: bigint | undefined;
};

/**
 * How far the partitions of the change topics are read, how far they go, and how far they are to be read before
 * clicks are joined (INVARIANTS.md 6). Offsets are the next ones to be read.
 */
export class FeedProgress {
  readonly #topics = new Map<string, Map<number, PartitionProgress>>();

  /** Takes on a partition. */
  open({ topic, partition }: Place, nextOffset: bigint): void {
    const partitions = this.#topics.get(topic) ?? new Map<number, PartitionProgress>();
    this.#topics.set(topic, partitions);
    partitions.set(partition, { nextOffset, endOffset: undefined, goalOffset: undefined });
  }

  partitionCount(topic: string): number {
    return this.#topics.get(topic)?.size ?? 0;
  }

  /** Undefined for a partition that was not taken on. */
  next({ topic, partition }: Place): bigint | undefined {
    return this.#topics.get(topic)?.get(partition)?.nextOffset;
  }

  /** The state has everything below this offset. */
  advance(place: Place, nextOffset: bigint): void {
    const progress = this.#of(place);
    if (progress === undefined) return;
    progress.nextOffset = nextOffset;
    if (nextOffset >= (progress.goalOffset ?? 0n)) progress.goalOffset = undefined;
  }

  sawEnd(place: Place, endOffset: bigint): void {
    const progress = this.#of(place);
    if (progress !== undefined) progress.endOffset = endOffset;
  }

  /** The partition is to be read up to there, unless it is. */
  require(place: Place, goalOffset: bigint): void {
    const progress = this.#of(place);
    if (progress !== undefined && progress.nextOffset < goalOffset) {
      progress.goalOffset = goalOffset;
    }
  }

  /** Nothing waits for the partition any more. */
  excuse(place: Place): void {
    const progress = this.#of(place);
    if (progress !== undefined) progress.goalOffset = undefined;
  }

  /** Whether every partition was read as far as it has to be. */
  get isComplete(): boolean {
    return [...this.#topics.keys()].every((topic) => this.remaining(topic) === 0n);
  }

  /** Offsets of a topic that are still to be read before clicks are joined. */
  remaining(topic: string): bigint {
    return this.#sum(
      topic,
      ({ goalOffset, nextOffset }) => (goalOffset ?? nextOffset) - nextOffset,
    );
  }

  /** Offsets to the ends of a topic's partitions, as they were last seen. */
  lag(topic: string): bigint {
    return this.#sum(topic, ({ endOffset, nextOffset }) =>
      endOffset === undefined || endOffset < nextOffset ? 0n : endOffset - nextOffset,
    );
  }

  /** Where to read on. */
  places(): (Place & { nextOffset: bigint })[] {
    return [...this.#topics].flatMap(([topic, partitions]) =>
      [...partitions].map(([partition, { nextOffset }]) => ({ topic, partition, nextOffset })),
    );
  }

  #of({ topic, partition }: Place): PartitionProgress | undefined {
    return this.#topics.get(topic)?.get(partition);
  }

  #sum(topic: string, offsetsOf: (progress: PartitionProgress) => bigint): bigint {
    let sum = 0n;
    for (const progress of this.#topics.get(topic)?.values() ?? []) sum += offsetsOf(progress);
    return sum;
  }
}
