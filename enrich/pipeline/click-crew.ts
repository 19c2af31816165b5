import type { AvroObject } from '../../schemas/contract.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Position } from '../source/log.ts';
import type { ClickWorker, Fill, LogBounds, SealedBatch } from '../worker/click-worker.ts';
import { isUnavailable } from './retry.ts';
import type { SchemaLoads } from './schema-loads.ts';
import type { StreamEvolution } from './stream-evolution.ts';

const POLL_BACKOFF_MS = 500;
const EMPTY: Fill = {
  rows: 0,
  bytes: 0,
  isFull: false,
  dueInMs: undefined,
  lag: new Map(),
  missing: [],
  ahead: [],
};

/** The batch that one worker has closed. */
export type SealedPart = { worker: ClickWorker; name: string; batch: SealedBatch };

type CrewContext = {
  schemas: Pick<SchemaLoads, 'resolve' | 'isUnknown' | 'isLoading' | 'load' | 'assertSound'>;
  evolution: Pick<StreamEvolution, 'lessonOf' | 'forgetPauses'>;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
};

/** One worker as the crew sees it. */
type Post = {
  readonly worker: ClickWorker;
  readonly name: string;
  hasPartitions: boolean;
  isTaking: boolean;
  /** As of its last take. */
  fill: Fill;
  /** When the batch that fills is due, by `Clock.elapsedMs`. */
  dueAtMs: number | undefined;
};

/**
 * The click workers of a process, driven as one: partition p is worker p modulo their number, and what they hold goes
 * into one commit. Each takes at its own pace; whoever is full waits for the next seal.
 */
export class ClickCrew {
  readonly #posts: readonly Post[];
  readonly #context: CrewContext;
  /** How often partitions were assigned. */
  #assignments = 0;
  /** What a take, or giving up a batch, failed with for good. */
  #failure: unknown;
  #news = Promise.withResolvers<void>();

  constructor(workers: readonly ClickWorker[], context: CrewContext) {
    this.#context = context;
    this.#posts = workers.map((worker, index) => ({
      worker,
      name: `click worker ${index + 1}`,
      hasPartitions: false,
      isTaking: false,
      fill: EMPTY,
      dueAtMs: undefined,
    }));
  }

  /** Starts over at these offsets with nothing taken. */
  async assign(position: Position, bounds: LogBounds): Promise<void> {
    const { length } = this.#posts;
    this.#assignments += 1;
    this.#context.evolution.forgetPauses();
    await Promise.all(
      this.#posts.map(async (post, index) => {
        const isOwn = ([partition]: readonly [number, unknown]) => partition % length === index;
        const own = new Map([...position].filter(isOwn));
        post.hasPartitions = own.size > 0;
        await post.worker.assign(own, new Map([...bounds].filter(isOwn)));
        this.#note(post, EMPTY);
      }),
    );
  }

  /**
   * Lets every worker take that has room, for `waitMsMax` at most; false where none is taking. Errors: what a take, or
   * giving up a batch, has failed with for good, and schemas that no waiting mends.
   */
  take(waitMsMax: number, signal: AbortSignal): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    this.#context.schemas.assertSound();
    this.#news = Promise.withResolvers();
    for (const post of this.#posts) {
      const mayTake = post.hasPartitions && !post.isTaking && !post.fill.isFull;
      if (mayTake) void this.#takeInto(post, waitMsMax, signal);
    }
    return this.#posts.some(({ isTaking }) => isTaking);
  }

  /** Resolves once a take or a seal has ended since `take` was called, or `tell` was. */
  get news(): Promise<void> {
    return this.#news.promise;
  }

  tell(): void {
    this.#news.resolve();
  }

  /** The names of those that owe no answer to a take, by which a stuck one shows. */
  get answered(): readonly string[] {
    return this.#posts.flatMap(({ isTaking, name }) => (isTaking ? [] : [name]));
  }

  get rows(): number {
    return this.#posts.reduce((sum, { fill }) => sum + fill.rows, 0);
  }

  /** When the first of what the workers hold is due, by `Clock.elapsedMs`; undefined while they hold nothing. */
  get dueAtMs(): number | undefined {
    const due = this.#posts.flatMap(({ dueAtMs }) => (dueAtMs === undefined ? [] : [dueAtMs]));
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** Closes what the workers hold, those that hold nothing left out; they go on with their other batches. */
  async seal(): Promise<SealedPart[]> {
    const parts = await Promise.all(
      this.#posts.map(async (post) => {
        const { worker, name } = post;
        const batch = await worker.seal();
        this.#note(post, EMPTY);
        return { worker, name, batch };
      }),
    );
    this.tell();
    return parts.filter(({ batch }) => batch.ranges.size > 0);
  }

  /** Gives up what was sealed. Nobody waits for that: where it fails, the next take does. */
  abandon(): void {
    for (const { worker } of this.#posts) {
      worker.abandon().catch((error: unknown) => {
        this.#failure ??= error;
      });
    }
  }

  /** Never rejects. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#posts.map(({ worker }) => worker.close()));
  }

  async #takeInto(post: Post, waitMsMax: number, signal: AbortSignal): Promise<void> {
    const { clock, logger, metrics } = this.#context;
    const assignment = this.#assignments;
    const isCurrent = (): boolean => assignment === this.#assignments;
    post.isTaking = true;
    try {
      const fill = await post.worker.take(waitMsMax);
      this.#note(post, fill);
      if (fill.missing.length > 0) await this.#teach(post.worker, fill, isCurrent);
    } catch (error) {
      if (isUnavailable(error)) {
        metrics.fetchErrors.inc({ reader: 'clicks' });
        logger.warn('reading clicks: unavailable, trying again', { error });
        await clock.sleep(POLL_BACKOFF_MS * (1 + clock.random()), signal);
      } else {
        this.#failure ??= error;
      }
    } finally {
      post.isTaking = false;
      this.tell();
    }
  }

  /**
   * Loads schemas, waiting a moment at most, and tells the worker those that are known by then and may be read; nobody
   * where partitions were assigned meanwhile: what is still missing then is told again.
   */
  async #teach(
    worker: ClickWorker,
    { missing, ahead }: Fill,
    isCurrent: () => boolean,
  ): Promise<void> {
    const { schemas, evolution } = this.#context;
    const answerTo = (id: number) =>
      schemas.resolve(id) ?? (schemas.isUnknown(id) ? 'unknown' : undefined);
    const wanted = [...missing, ...ahead];
    const unasked = wanted.filter((id) => answerTo(id) === undefined && !schemas.isLoading(id));
    if (unasked.length > 0) await schemas.load(unasked);
    if (!isCurrent()) return;
    const known = new Map<number, AvroObject | 'unknown'>();
    for (const id of wanted) {
      const answer = answerTo(id);
      if (answer !== undefined) known.set(id, answer);
    }
    const lesson = evolution.lessonOf(known, new Set(missing));
    if (lesson.avroSchemas.size > 0) await worker.learn(lesson);
  }

  #note(post: Post, fill: Fill): void {
    const { clock, metrics } = this.#context;
    post.fill = fill;
    post.dueAtMs = fill.dueInMs === undefined ? undefined : clock.elapsedMs() + fill.dueInMs;
    metrics.bufferedRows.set(this.rows);
    metrics.bufferedBytes.set(this.#posts.reduce((sum, { fill: { bytes } }) => sum + bytes, 0));
    for (const [partition, lag] of fill.lag) {
      metrics.lag.set({ partition: String(partition) }, lag);
    }
  }
}
