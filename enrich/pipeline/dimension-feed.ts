import type { Clock } from '../clock.ts';
import type { Reject } from '../core/dead-letters.ts';
import { EnrichError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { DimensionState } from '../state/dimension-state.ts';
import type { Log, LogReader } from '../source/log.ts';
import { AwaitedPartitions } from '../source/awaited-partitions.ts';
import type { Place } from '../source/awaited-partitions.ts';
import { ChangeIntake } from './change-intake.ts';
import type { DimensionTopic, Standstill } from './change-intake.ts';
import type { ChangeRejects } from './change-rejects.ts';
import { FeedProgress } from './feed-progress.ts';
import { MissedDeletes, readDeleteRetentionMs } from './missed-deletes.ts';
import { PausedPartitions } from './paused-partitions.ts';
import type { PipelineStatus } from './pipeline-status.ts';
import { DIMENSION_FEED, KAFKA } from './pipeline-status.ts';
import { isUnavailable, retryUntilAvailable } from './retry.ts';
import type { SchemaLoads } from './schema-loads.ts';
import { assertSameTopic, assertWithinLog } from './topic-fences.ts';

const POLL_WAIT_MS_MAX = 100;
/** As they come, compressed or not. */
const POLL_BYTES_MAX = 4 * 1024 ** 2;
const POLL_BYTES_MIN = 64 * 1024;
/** Of records that one poll has brought, expanded; one record batch more is taken. */
const KEPT_BYTES_MAX = 64 * 1024 ** 2;
const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 2_000;
const PROGRESS_EVERY_MS = 5_000;
/** How often partitions that were added to a topic are looked for. */
const LIST_PARTITIONS_EVERY_MS = 30_000;

export type DimensionFeedOptions = {
  log: Log;
  topics: readonly DimensionTopic[];
  state: DimensionState;
  schemas: SchemaLoads;
  /** Records that are no change wait there for the dead-letter table. */
  rejects: ChangeRejects;
  /** Told when a change of the streaming phase was seen: the initial snapshot is complete. */
  onStreamingChange: () => void;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  status: PipelineStatus;
};

type Standing = Place & { standstill: Standstill };

/**
 * Takes the changes of every dimension topic into the state, for ever. Each process reads all partitions,
 * from the position that its own state holds; group membership plays no part.
 */
export class DimensionFeed {
  readonly #options: DimensionFeedOptions;
  readonly #reader: LogReader;
  readonly #byTopic: ReadonlyMap<string, DimensionTopic>;
  readonly #progress = new FeedProgress();
  readonly #missedDeletes = new Map<string, MissedDeletes>();
  readonly #paused: PausedPartitions;
  #isFull = false;
  /** What a poll asks for: less where more comes than is kept, all of which is fetched and expanded again. */
  #pollBytesMax = POLL_BYTES_MAX;
  #listedMs: number;
  /** Partitions were added that the reader does not read yet. */
  #added = false;
  readonly #awaited: AwaitedPartitions;

  private constructor(options: DimensionFeedOptions, reader: LogReader) {
    this.#options = options;
    this.#reader = reader;
    this.#paused = new PausedPartitions(options);
    this.#awaited = new AwaitedPartitions(options);
    this.#listedMs = options.clock.elapsedMs();
    this.#byTopic = new Map(options.topics.map((topic) => [topic.description.topic, topic]));
  }

  /** Opens a reader at the positions of the state. A position that the log does not have is `fenced`. */
  static async open(options: DimensionFeedOptions): Promise<DimensionFeed> {
    const reader = await options.log.openReader();
    try {
      const feed = new DimensionFeed(options, reader);
      for (const topic of options.topics) await feed.#openTopic(topic);
      feed.#seek();
      return feed;
    } catch (error) {
      await Promise.allSettled([reader.close()]);
      throw error;
    }
  }

  async #openTopic(topic: DimensionTopic): Promise<void> {
    const { log, state, clock, logger } = this.#options;
    const { name: dimension, description } = topic;
    const { topic: name } = description;
    const bounds = await log.bounds(name);
    const source = state.position(dimension);
    if (source !== undefined) assertSameTopic(source, description);
    // All is read again, for columns that the rows lack: until it is, the dimension is not whole.
    if (source?.next.size === 0) await state.putMeta(readName(topic), undefined);
    const deleteRetentionMs = await readDeleteRetentionMs(log, name, logger);
    const watch = { dimension, topic: description, deleteRetentionMs, state, clock };
    const missedDeletes = new MissedDeletes(watch);
    await missedDeletes.open();
    this.#missedDeletes.set(name, missedDeletes);
    for (const [partition, { startOffset, endOffset }] of bounds) {
      const position = source?.next.get(partition) ?? startOffset;
      assertWithinLog({ topic: name, partition, position, startOffset, endOffset });
      this.#progress.open({ topic: name, partition }, position);
      this.#progress.require({ topic: name, partition }, endOffset);
    }
  }

  /** True once every topic has been read to the end that it had at start (INVARIANTS.md 6). */
  get caughtUp(): boolean {
    return this.#progress.isComplete;
  }

  /** Takes the ends that the topics have now as those to be reached before `caughtUp`. */
  async extendToEnds(): Promise<void> {
    for (const { description } of this.#options.topics) {
      const { topic } = description;
      const bounds = await this.#options.log.bounds(topic);
      this.#admit(topic, bounds);
      for (const [partition, { endOffset }] of bounds) {
        if (!this.#mayStand({ topic, partition })) {
          this.#progress.require({ topic, partition }, endOffset);
        }
      }
    }
  }

  /**
   * Takes note that every dimension was read to the ends that were to be reached: a partition that is paused later, also
   * in another life of the process, keeps no click from being joined (INVARIANTS.md 6). Errors: those of the state.
   */
  async rememberRead(): Promise<void> {
    const { topics, state } = this.#options;
    for (const topic of topics) {
      if (this.#wasRead(topic)) continue;
      await state.putMeta(readName(topic), new TextEncoder().encode('yes'));
    }
  }

  #wasRead(topic: DimensionTopic): boolean {
    return this.#options.state.getMeta(readName(topic)) !== undefined;
  }

  /** Whether a partition is paused that was whole before: the rows that it has told of are what it was then. */
  #mayStand(place: Place): boolean {
    const topic = this.#byTopic.get(place.topic);
    return topic !== undefined && this.#wasRead(topic) && this.#paused.has(place);
  }

  /** Records still to be read before `caughtUp`, by dimension. */
  remaining(): ReadonlyMap<string, bigint> {
    const remaining = new Map<string, bigint>();
    for (const { name, description } of this.#options.topics) {
      const records = this.#progress.remaining(description.topic);
      if (records > 0n) remaining.set(name, records);
    }
    return remaining;
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#readUntil(signal);
    } finally {
      await Promise.allSettled([this.#reader.close()]);
    }
  }

  async #readUntil(signal: AbortSignal): Promise<void> {
    const { clock, logger, status } = this.#options;
    let toldMs = clock.elapsedMs();
    while (!signal.aborted) {
      status.turned(DIMENSION_FEED);
      if (this.#isPaused()) {
        await clock.sleep(BACKOFF_MS, signal);
        continue;
      }
      await this.#read(signal);
      this.#observe();
      if (!this.caughtUp && clock.elapsedMs() - toldMs >= PROGRESS_EVERY_MS) {
        toldMs = clock.elapsedMs();
        logger.info('reading dimensions', { remaining: this.remaining() });
      }
    }
  }

  /** One turn, tried again while the log, the registry or the state is away. */
  async #read(signal: AbortSignal): Promise<void> {
    const { clock, logger, metrics, status } = this.#options;
    const attempt = async (): Promise<void> => {
      status.turned(DIMENSION_FEED);
      try {
        await this.#listPartitions();
        await this.#turn();
      } catch (error) {
        if (isUnavailable(error)) {
          metrics.fetchErrors.inc({ reader: 'dimensions' });
          this.#seek();
          this.#observe();
        }
        throw error;
      }
    };
    const retry = { clock, logger, status, signal, backoffMsMax: BACKOFF_MS_MAX };
    try {
      await retryUntilAvailable({ what: 'reading dimensions', attempt, ...retry });
    } catch (error) {
      // What was being waited for when the signal came is no failure.
      if (!signal.aborted || !isUnavailable(error)) throw error;
    }
  }

  /** Whether the dead-letter table must first take what waits for it; says so when that begins. */
  #isPaused(): boolean {
    const { rejects, metrics, logger } = this.#options;
    const { count, bytes, isFull } = rejects.waiting();
    metrics.deadLettersWaiting.set(count);
    if (isFull && !this.#isFull) {
      logger.warn('reading dimensions: paused, too many rejects wait for the dead-letter table', {
        count,
        bytes,
      });
    }
    this.#isFull = isFull;
    return isFull;
  }

  async #listPartitions(): Promise<void> {
    const { log, clock, topics } = this.#options;
    if (clock.elapsedMs() - this.#listedMs < LIST_PARTITIONS_EVERY_MS) return;
    // Also where it fails: a partition that has no leader yet must not keep the others from being read.
    this.#listedMs = clock.elapsedMs();
    for (const { description } of topics) {
      const { topic } = description;
      const found = await log.describeTopic(topic);
      // A topic that is not there may be on its way to the broker that was asked; the reader judges that.
      if (found === undefined) continue;
      assertSameTopic(description, found);
      if (found.partitionCount === this.#progress.partitionCount(topic)) continue;
      this.#admit(topic, await log.bounds(topic));
    }
  }

  /** Takes partitions that are not read yet, from their start. */
  #admit(topic: string, bounds: Awaited<ReturnType<Log['bounds']>>): void {
    for (const [partition, { startOffset, endOffset }] of bounds) {
      if (this.#progress.next({ topic, partition }) !== undefined) continue;
      this.#progress.open({ topic, partition }, startOffset);
      this.#progress.sawEnd({ topic, partition }, endOffset);
      this.#missedDeletes.get(topic)?.admit(partition);
      this.#added = true;
      this.#options.logger.warn(
        'reading a partition that was added: rows that have moved to it and are deleted later may come back when ' +
          'the state is built again, see "More partitions" in docs/operations.md',
        { topic, partition },
      );
    }
  }

  async #turn(): Promise<void> {
    if (this.#awaited.hasLoaded() || this.#added) this.#seek();
    for (const { endOffset, ...place } of await this.#awaited.ends()) {
      this.#progress.sawEnd(place, endOffset);
    }
    const { clock } = this.#options;
    const turn = { nowMs: clock.nowMs(), elapsedMs: clock.elapsedMs() };
    const intakes = new Map<string, ChangeIntake>();
    const standing: Standing[] = [];
    const blocked = new Set<string>();
    let keptBytes = 0;
    const progress = await this.#reader.poll(
      (topic, partition, records) => {
        const key = `${topic}/${partition}`;
        if (keptBytes >= KEPT_BYTES_MAX) blocked.add(key);
        const intake = blocked.has(key) ? undefined : this.#intake(intakes, topic, partition);
        if (intake === undefined) return;
        const keptBefore = intake.keptBytes;
        const standstill = intake.take(records, this.#options);
        keptBytes += intake.keptBytes - keptBefore;
        if (standstill === undefined) return;
        blocked.add(key);
        standing.push({ topic, partition, standstill });
      },
      { waitMsMax: POLL_WAIT_MS_MAX, bytesMax: this.#pollBytesMax },
    );
    this.#pollBytesMax =
      keptBytes >= KEPT_BYTES_MAX
        ? Math.max(POLL_BYTES_MIN, this.#pollBytesMax / 4)
        : Math.min(POLL_BYTES_MAX, this.#pollBytesMax * 2);
    if (progress.length > 0) this.#options.status.overcome(KAFKA);
    for (const { topic, partition, nextOffset, endOffset } of progress) {
      this.#progress.sawEnd({ topic, partition }, endOffset);
      if (blocked.has(`${topic}/${partition}`)) continue;
      const intake = this.#intake(intakes, topic, partition);
      if (intake !== undefined && nextOffset > intake.next) intake.next = nextOffset;
    }
    for (const { topic, partition } of intakes.values()) {
      this.#missedDeletes.get(topic.description.topic)?.assertNoneMissed(partition, turn);
    }
    await this.#apply([...intakes.values()]);
    const read = progress.filter(({ topic, partition }) => !blocked.has(`${topic}/${partition}`));
    for (const [topic, places] of Map.groupBy(read, (place) => place.topic)) {
      await this.#missedDeletes.get(topic)?.reached(places, turn);
    }
    if (blocked.size === 0) return;
    // Not before what lies before is applied: where that fails, it is read again.
    for (const one of standing) this.#stand(one);
    await this.#answer(standing);
    this.#seek();
  }

  /** Keeps a partition from being read until what it stands for is there. */
  #stand({ topic, partition, standstill }: Standing): void {
    switch (standstill.kind) {
      case 'missing':
        return this.#awaited.add(topic, partition, standstill.schemaIds);
      case 'pause':
        this.#paused.add({ topic, partition }, standstill);
        this.#awaited.add(topic, partition, undefined);
        if (this.#mayStand({ topic, partition })) this.#progress.excuse({ topic, partition });
        return;
      case 'fail':
    }
  }

  /** Errors: `schema-change` where that is the policy; those of the registry that no waiting mends. */
  async #answer(standing: readonly Standing[]): Promise<void> {
    const standstills = standing.map(({ standstill }) => standstill);
    const missing = standstills.flatMap((one) => (one.kind === 'missing' ? one.schemaIds : []));
    if (missing.length > 0) await this.#options.schemas.load(new Set(missing));
    const failure = standstills.find((one) => one.kind === 'fail');
    if (failure === undefined) return;
    const { why, remedy, schemaId } = failure;
    throw new EnrichError('schema-change', `${why}. ${remedy}`, { context: { schemaId } });
  }

  #intake(
    intakes: Map<string, ChangeIntake>,
    topicName: string,
    partition: number,
  ): ChangeIntake | undefined {
    const key = `${topicName}/${partition}`;
    const known = intakes.get(key);
    if (known !== undefined) return known;
    const topic = this.#byTopic.get(topicName);
    const next = this.#progress.next({ topic: topicName, partition });
    if (topic === undefined || next === undefined) return undefined;
    const intake = new ChangeIntake({ topic, partition, next, state: this.#options.state });
    intakes.set(key, intake);
    return intake;
  }

  /**
   * Dimensions side by side, the partitions of one after the other. Ends when all of them have: what failed is read
   * and applied again, which must not meet what still goes on.
   */
  async #apply(intakes: readonly ChangeIntake[]): Promise<void> {
    const byDimension = Map.groupBy(intakes, ({ topic }) => topic.name);
    const ends = await Promise.allSettled(
      [...byDimension.values()].map(async (own) => {
        for (const intake of own) await this.#applyOne(intake);
      }),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #applyOne(intake: ChangeIntake): Promise<void> {
    const { state, metrics } = this.#options;
    const { topic, partition, batch, next } = intake;
    const { topic: topicName, topicId, clusterId } = topic.description;
    const place = { topic: topicName, partition };
    if (next === this.#progress.next(place)) return;
    const source = { partition, nextOffset: next, topicId, clusterId };
    let rejects: readonly Reject[] = [];
    const { refused } = await state.apply(topic.name, source, batch, (found) => {
      rejects = intake.rejects(found);
      return [
        ...this.#options.rejects.entriesOf(topic.name, rejects),
        ...topic.sourceSchemas.entries(),
      ];
    });
    this.#progress.advance(place, next);
    const { name: dimension } = topic;
    for (const [kind, count] of intake.counts) {
      metrics.dimensionChanges.inc({ dimension, kind }, count);
    }
    metrics.dimensionChanges.inc({ dimension, kind: 'refused' }, refused.length);
    this.#tell(rejects);
  }

  #tell(rejects: readonly Reject[]): void {
    for (const { topic, partition, offset, kind, message } of rejects) {
      const where = { topic, partition, offset };
      this.#options.logger.warn('a change cannot be applied: dead letter', {
        ...where,
        kind,
        detail: message,
      });
    }
  }

  #observe(): void {
    const { topics, state, metrics } = this.#options;
    for (const { name, description } of topics) {
      const lag = this.#progress.lag(description.topic);
      metrics.dimensionLag.set({ dimension: name }, Number(lag));
      const { rowCount, bytes } = state.projection(name);
      metrics.dimensionRows.set({ dimension: name }, rowCount);
      metrics.stateBytes.set({ dimension: name }, bytes);
    }
  }

  #seek(): void {
    this.#added = false;
    this.#reader.assign(this.#awaited.readable(this.#progress.places()));
  }
}

function readName({ name, description }: DimensionTopic): string {
  return `read/${name}/${description.topicId}`;
}
