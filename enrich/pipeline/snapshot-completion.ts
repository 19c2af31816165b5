import type { ReadinessSignal } from '../../connectors/readiness-signal.ts';
import type { TopicDescription } from '../source/log.ts';
import type { DimensionState } from '../state/dimension-state.ts';

/**
 * Which dimensions are known to be loaded: every row that their table had when Debezium first read it
 * stands in the topic. Once known, it is remembered in the state, for this very topic.
 *
 * A dimension is loaded when an incremental snapshot has completed its table, or when the initial snapshot
 * is complete and has scanned its table. Where no scan of any table was ever told of (an old topic whose
 * notifications are gone, a source that tells none), the end of the initial snapshot, or a change streamed
 * after it, counts for all.
 */
export class SnapshotCompletion {
  readonly #state: DimensionState;
  readonly #topics: ReadonlyMap<string, TopicDescription>;
  readonly #scanned = new Set<string>();
  readonly #complete = new Set<string>();
  readonly #stored = new Set<string>();
  #isInitialComplete = false;

  constructor(state: DimensionState, topics: ReadonlyMap<string, TopicDescription>) {
    this.#state = state;
    this.#topics = topics;
    for (const [dimension, { topicId }] of topics) {
      if (state.getMeta(metaName(dimension, topicId)) !== undefined) this.#stored.add(dimension);
    }
  }

  /** Dimensions that are not known to be loaded. */
  missing(): string[] {
    return [...this.#topics.keys()].filter((dimension) => !this.#isLoaded(dimension));
  }

  /** True when the initial snapshot is over and has left out this dimension's table. */
  isLeftOut(dimension: string): boolean {
    return this.#isInitialComplete && !this.#isLoaded(dimension);
  }

  take(signal: ReadinessSignal): void {
    switch (signal.kind) {
      case 'initial-snapshot-complete':
        this.#isInitialComplete = true;
        return;
      case 'table-scanned':
        this.#scanned.add(signal.collection);
        return;
      case 'table-complete':
        this.#complete.add(signal.collection);
    }
  }

  /** A change of the streaming phase was met. */
  takeStreamed(): void {
    this.#isInitialComplete = true;
  }

  /** Stores what is known by now, so that a restart need not see it again. Errors: those of the state. */
  async remember(): Promise<void> {
    for (const [dimension, { topicId }] of this.#topics) {
      if (this.#stored.has(dimension) || !this.#isLoaded(dimension)) continue;
      await this.#state.putMeta(metaName(dimension, topicId), new TextEncoder().encode('yes'));
      this.#stored.add(dimension);
    }
  }

  #isLoaded(dimension: string): boolean {
    if (this.#stored.has(dimension)) return true;
    const topic = this.#topics.get(dimension)?.topic ?? '';
    const isOf = (collection: string): boolean => topic.endsWith(`.${collection}`);
    if ([...this.#complete].some(isOf)) return true;
    if (!this.#isInitialComplete) return false;
    return this.#scanned.size === 0 || [...this.#scanned].some(isOf);
  }
}

function metaName(dimension: string, topicId: string): string {
  return `loaded/${dimension}/${topicId}`;
}
