import type { Clock } from '../clock.ts';
import { EnrichError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { Log, TopicDescription } from '../source/log.ts';
import type { DimensionState } from '../state/dimension-state.ts';

const DAY_MS = 86_400_000;
/** Room for clocks that are wrong, and for the reading itself. */
const MARGIN_MS_MAX = 2 * DAY_MS;
/** A reader that is at work does not fall behind compaction within this. */
const AT_WORK_MS_MAX = 10 * 60_000;
const STORE_EVERY_MS = 60_000;
/** Kafka's default of delete.retention.ms. */
const DELETE_RETENTION_MS = DAY_MS;

/** A partition of a dimension's topic, and how far it was read. */
type Place = { partition: number; nextOffset: bigint; endOffset: bigint };

/**
 * A moment by both clocks: the one that jumps when somebody sets it, and the one that stands still while the
 * machine sleeps. Of two moments the longer of both distances counts.
 */
type Moment = { nowMs: number; elapsedMs: number };

/** `delete.retention.ms` of a topic; where we may not see it, Kafka's default, and that is told. */
export async function readDeleteRetentionMs(
  log: Pick<Log, 'deleteRetentionMs'>,
  topic: string,
  logger: Logger,
): Promise<number> {
  const found = await log.deleteRetentionMs(topic);
  if (found !== undefined) return found;
  logger.warn(
    `the settings of ${topic} cannot be seen: its deletes are taken to be kept for ${hours(DELETE_RETENTION_MS)} h, ` +
      'and after half of that away the state is built again. Give the Kafka user the right DESCRIBE_CONFIGS on it',
    { topic },
  );
  return DELETE_RETENTION_MS;
}

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
  readonly #deleteRetentionMs: number;
  readonly #absenceMsMax: number;
  /** By partition, when its end was last reached. */
  readonly #reached = new Map<number, Moment>();
  #storedMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    dimension: string;
    topic: TopicDescription;
    deleteRetentionMs: number;
    state: DimensionState;
    clock: Clock;
  }) {
    this.#dimension = options.dimension;
    this.#topic = options.topic;
    this.#state = options.state;
    this.#clock = options.clock;
    const { deleteRetentionMs } = options;
    this.#deleteRetentionMs = deleteRetentionMs;
    this.#marginMs = Math.min(MARGIN_MS_MAX, deleteRetentionMs / 2);
    this.#absenceMsMax = deleteRetentionMs - this.#marginMs;
  }

  /** To be called before the topic is read. Errors: `renew` where deletes may have been missed. */
  async open(): Promise<void> {
    const at = this.#moment();
    if (this.#state.position(this.#dimension) === undefined) {
      // Whatever is deleted from now on is met on the way from the topic's start.
      this.#begin(at);
      return this.#store(at.nowMs);
    }
    if (this.#absenceMsMax === Number.POSITIVE_INFINITY) return this.#begin(at);
    const stored = this.#state.getMeta(this.#name);
    if (stored === undefined) throw this.#missed('it is not known when it was last complete');
    const nowMs = Number(new TextDecoder().decode(stored));
    const absenceMs = at.nowMs - nowMs;
    if (absenceMs < -this.#marginMs) {
      throw this.#missed('the clock has gone back since it was last complete');
    }
    if (absenceMs > this.#absenceMsMax) throw this.#missed(this.#absenceText(absenceMs));
    this.#begin({ nowMs, elapsedMs: at.elapsedMs - absenceMs });
  }

  /** A partition that was added: whatever is deleted from now on is met on the way from its start. */
  admit(partition: number): void {
    this.#reached.set(partition, this.#moment());
  }

  #moment(): Moment {
    return { nowMs: this.#clock.nowMs(), elapsedMs: this.#clock.elapsedMs() };
  }

  /**
   * To be called before the state takes what a turn that began at this moment has read of a partition: a
   * position behind a delete that was missed is never recorded (INVARIANTS.md 7). Errors: `renew` where deletes may
   * have been missed.
   */
  assertNoneMissed(partition: number, turn: Moment): void {
    const absenceMs = distanceMs(this.#reached.get(partition) ?? turn, turn);
    if (absenceMs <= Math.max(this.#absenceMsMax, AT_WORK_MS_MAX)) return;
    throw this.#missed(this.#absenceText(absenceMs));
  }

  /** Takes note of how far such a turn has read, once the state has it. Errors: those of the state. */
  async reached(places: readonly Place[], turn: Moment): Promise<void> {
    for (const { partition, nextOffset, endOffset } of places) {
      const since = this.#reached.get(partition) ?? turn;
      this.#reached.set(partition, nextOffset >= endOffset ? turn : since);
    }
    if (turn.elapsedMs - this.#storedMs < STORE_EVERY_MS) return;
    const absences = [...this.#reached.values()].map((reached) => distanceMs(reached, turn));
    await this.#store(turn.nowMs - Math.max(...absences));
    this.#storedMs = turn.elapsedMs;
  }

  #begin(complete: Moment): void {
    for (let partition = 0; partition < this.#topic.partitionCount; partition++) {
      this.#reached.set(partition, complete);
    }
  }

  get #name(): string {
    return `complete/${this.#dimension}/${this.#topic.topicId}`;
  }

  async #store(epochMs: number): Promise<void> {
    const text = String(Math.floor(epochMs));
    await this.#state.putMeta(this.#name, new TextEncoder().encode(text));
  }

  #absenceText(absenceMs: number): string {
    return (
      `it was last complete ${hours(absenceMs)} h ago, and the topic keeps deletes for ` +
      `${hours(this.#deleteRetentionMs)} h (delete.retention.ms)`
    );
  }

  #missed(why: string): EnrichError {
    const { topic } = this.#topic;
    const deleteRetentionMs = this.#deleteRetentionMs;
    return new EnrichError(
      'renew',
      `dimension ${this.#dimension}: the state may have missed deletes of ${topic}: ${why}. It is built again`,
      { context: { dimension: this.#dimension, topic, deleteRetentionMs } },
    );
  }
}

/** A clock that was set back does not make the time shorter. */
function distanceMs(from: Moment, to: Moment): number {
  return Math.max(to.nowMs - from.nowMs, to.elapsedMs - from.elapsedMs);
}

function hours(ms: number): string {
  return (ms / 3_600_000).toFixed(1);
}
