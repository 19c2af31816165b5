import type { Clock } from '../clock.ts';
import { EnrichError } from '../error.ts';
import type { TopicDescription } from '../source/log.ts';
import type { DimensionState } from '../state/dimension-state.ts';

const DAY_MS = 86_400_000;
/** Room for clocks that are wrong, and for the reading itself. */
const MARGIN_MS_MAX = 2 * DAY_MS;
/** A reader that is at work does not fall behind compaction within this. */
const AT_WORK_MS_MAX = 10 * 60_000;
const STORE_EVERY_MS = 60_000;

/** A partition of a dimension's topic, and how far it was read. */
type Place = { partition: number; nextOffset: bigint; endOffset: bigint };

/**
 * Watches whether one dimension may have missed deletes. Compaction removes a row's records and, once it is older
 * than `delete.retention.ms`, the tombstone too: a reader that was at the end of the topic less than that ago
 * still meets every tombstone, one that was there earlier may not, and would keep the row for ever. So the state
 * keeps, beside its position, when the ends were last reached; a state that is too old is built again.
 *
 * Erring to a rebuild is right: clocks may be wrong by two days, or by half of the retention where that is less.
 * Source: Kafka documentation, topic configuration `delete.retention.ms`; KIP-534.
 */
export class MissedDeletes {
  readonly #dimension: string;
  readonly #topic: TopicDescription;
  readonly #state: DimensionState;
  readonly #clock: Clock;
  readonly #marginMs: number;
  readonly #absenceMsMax: number;
  /** By partition, when its end was last reached, in the clock's elapsed ms. */
  readonly #reachedMs = new Map<number, number>();
  /** The same for partitions that were not read yet: when the state was last at the ends. */
  #openedMs = 0;
  #storedMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    dimension: string;
    topic: TopicDescription;
    state: DimensionState;
    clock: Clock;
  }) {
    this.#dimension = options.dimension;
    this.#topic = options.topic;
    this.#state = options.state;
    this.#clock = options.clock;
    const { deleteRetentionMs } = options.topic;
    this.#marginMs = Math.min(MARGIN_MS_MAX, deleteRetentionMs / 2);
    this.#absenceMsMax = deleteRetentionMs - this.#marginMs;
  }

  /** To be called before the topic is read. Errors: `rebuild` where deletes may have been missed. */
  async open(): Promise<void> {
    const { nowMs, elapsedMs } = this.#clock;
    if (this.#state.position(this.#dimension) === undefined) {
      // Whatever is deleted from now on is met on the way from the topic's start.
      this.#openedMs = elapsedMs();
      return this.#store(nowMs());
    }
    if (this.#absenceMsMax === Number.POSITIVE_INFINITY) return;
    const stored = this.#state.getMeta(this.#name);
    if (stored === undefined) throw this.#missed('it is not known when it was last complete');
    const absenceMs = nowMs() - Number(new TextDecoder().decode(stored));
    if (absenceMs < -this.#marginMs) {
      throw this.#missed('the clock has gone back since it was last complete');
    }
    if (absenceMs > this.#absenceMsMax) throw this.#missed(this.#absenceText(absenceMs));
    this.#openedMs = elapsedMs() - absenceMs;
  }

  /**
   * Takes note of how far the topic was read by a turn that began at this moment of the clock, once the state has
   * it. Errors: `rebuild` where deletes may have been missed on the way, those of the state.
   */
  async reached(places: readonly Place[], turnMs: number): Promise<void> {
    for (const { partition, nextOffset, endOffset } of places) {
      const absenceMs = turnMs - (this.#reachedMs.get(partition) ?? this.#openedMs);
      if (absenceMs > Math.max(this.#absenceMsMax, AT_WORK_MS_MAX)) {
        throw this.#missed(this.#absenceText(absenceMs));
      }
      if (nextOffset >= endOffset) this.#reachedMs.set(partition, turnMs);
    }
    if (turnMs - this.#storedMs < STORE_EVERY_MS) return;
    if (this.#reachedMs.size < this.#topic.partitionCount) return;
    const oldestMs = Math.min(...this.#reachedMs.values());
    await this.#store(this.#clock.nowMs() - (this.#clock.elapsedMs() - oldestMs));
    this.#storedMs = turnMs;
  }

  get #name(): string {
    return `complete/${this.#dimension}/${this.#topic.topicId}`;
  }

  async #store(epochMs: number): Promise<void> {
    const text = String(Math.floor(epochMs));
    await this.#state.putMeta(this.#name, new TextEncoder().encode(text));
  }

  #absenceText(absenceMs: number): string {
    const { deleteRetentionMs } = this.#topic;
    return (
      `it was last complete ${hours(absenceMs)} h ago, and the topic keeps deletes for ` +
      `${hours(deleteRetentionMs)} h (delete.retention.ms)`
    );
  }

  #missed(why: string): EnrichError {
    const { topic, deleteRetentionMs } = this.#topic;
    return new EnrichError(
      'rebuild',
      `dimension ${this.#dimension}: the state may have missed deletes of ${topic}: ${why}. It is built again`,
      { context: { dimension: this.#dimension, topic, deleteRetentionMs } },
    );
  }
}

function hours(ms: number): string {
  return (ms / 3_600_000).toFixed(1);
}
