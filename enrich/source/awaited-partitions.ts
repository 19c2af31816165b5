import type { Clock } from '../clock.ts';
import type { Log } from './log.ts';

/** What is not read tells no end of its own: how often the log is asked for it. */
const LOOK_EVERY_MS = 5_000;

/** Schemas that are loaded beside the reading. */
export type SchemaSource = {
  isLoading(schemaId: number): boolean;
  /** Starts to load these. Errors: `config`, also of earlier loads. */
  load(schemaIds: Iterable<number>): Promise<void>;
  /** Errors: those of loads that no waiting mends. */
  assertSound(): void;
};

export type Place = { topic: string; partition: number };

/** Partitions that are not read: records of theirs name schemas that are being loaded, or are to be taken by nobody. */
export class AwaitedPartitions {
  readonly #schemas: Pick<SchemaSource, 'isLoading' | 'assertSound'>;
  readonly #log: Pick<Log, 'bounds'>;
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  /** No ids: whatever is loaded, they wait. */
  readonly #places = new Map<string, Place & { schemaIds: readonly number[] | undefined }>();
  #lookedMs: number | undefined;

  constructor(options: {
    schemas: Pick<SchemaSource, 'isLoading' | 'assertSound'>;
    log: Pick<Log, 'bounds'>;
    clock: Pick<Clock, 'elapsedMs'>;
  }) {
    this.#schemas = options.schemas;
    this.#log = options.log;
    this.#clock = options.clock;
  }

  /** Until none of these schemas is being loaded; without any, for ever. */
  add(topic: string, partition: number, schemaIds: readonly number[] | undefined): void {
    if (this.#places.size === 0) this.#lookedMs = this.#clock.elapsedMs();
    this.#places.set(keyOf({ topic, partition }), { topic, partition, schemaIds });
  }

  clear(): void {
    this.#places.clear();
  }

  /** The schemas that they wait for. */
  schemaIds(): ReadonlySet<number> {
    const schemaIds = [...this.#places.values()].flatMap((place) => place.schemaIds ?? []);
    return new Set(schemaIds.filter((id) => this.#schemas.isLoading(id)));
  }

  /** Whether some of them can be read on. Errors: those of schemas that no waiting mends. */
  hasLoaded(): boolean {
    this.#schemas.assertSound();
    return [...this.#places.values()].some(({ schemaIds }) => !this.#isAwaited(schemaIds));
  }

  /** Those of these places that can be read; from then on they are awaited no longer. */
  readable<T extends Place>(places: readonly T[]): T[] {
    for (const [key, { schemaIds }] of this.#places) {
      if (!this.#isAwaited(schemaIds)) this.#places.delete(key);
    }
    return places.filter((place) => !this.#places.has(keyOf(place)));
  }

  /** The ends of the log that they have by now, at intervals; nothing in between. Errors: those of the log. */
  async ends(): Promise<(Place & { endOffset: bigint })[]> {
    const nowMs = this.#clock.elapsedMs();
    if (this.#places.size === 0 || nowMs - (this.#lookedMs ?? nowMs) < LOOK_EVERY_MS) return [];
    this.#lookedMs = nowMs;
    const found: (Place & { endOffset: bigint })[] = [];
    for (const [topic, places] of Map.groupBy(this.#places.values(), (place) => place.topic)) {
      const bounds = await this.#log.bounds(topic);
      for (const { partition } of places) {
        const endOffset = bounds.get(partition)?.endOffset;
        if (endOffset !== undefined) found.push({ topic, partition, endOffset });
      }
    }
    return found;
  }

  #isAwaited(schemaIds: readonly number[] | undefined): boolean {
    return schemaIds === undefined || schemaIds.some((id) => this.#schemas.isLoading(id));
  }
}

function keyOf({ topic, partition }: Place): string {
  return `${topic}/${partition}`;
}
