import { assertSameLog, committedInLog } from '../core/acceptance.ts';
import { EnrichError } from '../error.ts';
import type { GroupMember, Log, Position } from '../source/log.ts';
import type { ClickCrew } from './click-crew.ts';
import { flushBatches, settleRejects } from './flush.ts';
import type { FlushContext, FlushOutcome } from './flush.ts';
import { errorKind, isCutShort, retryUntilAvailable } from './retry.ts';
import { reloadTable } from './tables.ts';

const POLL_WAIT_MS_MAX = 250;
/** Only so long that the loop is seen to turn, whatever its workers do. */
const WAIT_TURN_MS_MAX = 10_000;
/** How long a revocation waits for the flush of what it takes away; then the batch is given up. */
const REVOKE_WAIT_MS_MAX = 15_000;
/** After a lost race, the most that the next flush comes early, as a share of the interval. */
const HASTE_SHARE_MAX = 0.5;
/** Kinds of error about what comes next in the log; what was taken before it is as good as ever. */
const LEAVES_WHAT_IS_BEFORE: ReadonlySet<string> = new Set(['corrupt', 'schema-change']);
const EMPTY_LOG = { startOffset: 0n, endOffset: 0n };

/** What was sealed, on its way into the table. */
type Flight = { done: Promise<void>; abandon: AbortController };

/**
 * Has the workers take clicks, flushes what they hold, and starts over from the table's position whenever the
 * assignment changes or a batch is dropped. Each worker has two batches that take turns: one fills while the other
 * is written and committed. When both are full, it fetches nothing (INVARIANTS.md 12).
 */
export class ClickLoop {
  readonly #log: Log;
  readonly #member: GroupMember;
  readonly #crew: ClickCrew;
  readonly #context: FlushContext;
  readonly #acceptGap: boolean;
  readonly #intervalMs: number;
  readonly #onTurn: () => void;
  #flight: Flight | undefined;
  #generation = -1;
  /** How much earlier than an interval after its first record the filling batch is due. */
  #hasteMs = 0;
  #startOver = false;
  /** What a flush failed with for good; the next turn throws it. */
  #failure: unknown;

  constructor(options: {
    log: Log;
    member: GroupMember;
    crew: ClickCrew;
    context: FlushContext;
    /** Between the first record of a batch and its flush. */
    intervalMs: number;
    /** Read on where the log has lost records that the table has not seen, as the user allowed. */
    acceptGap: boolean;
    /** Told at each turn of the loop, so that a stuck one shows. */
    onTurn: () => void;
  }) {
    this.#log = options.log;
    this.#member = options.member;
    this.#crew = options.crew;
    this.#context = options.context;
    this.#acceptGap = options.acceptGap;
    this.#intervalMs = options.intervalMs;
    this.#onTurn = options.onTurn;
  }

  /**
   * Runs until the signal, then commits what it holds, waiting at most `drainWaitMsMax`; likewise before a
   * damaged batch of the log and a schema that stops it, so that nothing that lies before depends on what becomes of it.
   */
  async run(signal: AbortSignal, drainWaitMsMax: number): Promise<void> {
    try {
      while (!signal.aborted) {
        try {
          await this.#turn(signal);
        } catch (error) {
          if (LEAVES_WHAT_IS_BEFORE.has(errorKind(error) ?? ''))
            await this.#tryToDrain(drainWaitMsMax);
          // What was being waited for when the signal came is no failure.
          if (!isCutShort(error, signal)) throw error;
        }
      }
      await this.#drain(drainWaitMsMax);
    } finally {
      this.#flight?.abandon.abort();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    if (this.#failure !== undefined) throw this.#failure;
    this.#onTurn();
    const assignment = this.#member.assignment();
    if (assignment === undefined) {
      await clock.sleep(50, signal);
      return;
    }
    if (this.#member.generation() !== this.#generation || this.#startOver) {
      await this.#reassign(signal);
      return;
    }
    const dueInMs = this.#dueInMs();
    if (dueInMs === 0 && this.#flight === undefined) this.#startFlush();
    // What is due but must wait for the flight before it makes no poll any shorter.
    const waitMs = this.#flight === undefined ? (dueInMs ?? POLL_WAIT_MS_MAX) : POLL_WAIT_MS_MAX;
    const isTaking = this.#crew.take(Math.min(POLL_WAIT_MS_MAX, waitMs), signal);
    // Whoever takes, and whoever waits for the flight, brings news; without partitions nobody does.
    const willHear = isTaking || this.#flight !== undefined;
    const newsMsMax = willHear ? WAIT_TURN_MS_MAX : POLL_WAIT_MS_MAX;
    await this.#waitFor(this.#crew.news, newsMsMax, signal);
  }

  /** Waits for something to happen, for a bounded time. */
  async #waitFor(what: Promise<void>, waitMsMax: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    // With a reason: an exception of its own is dear, and nobody reads it.
    const end = (): void => over.abort('over');
    signal.addEventListener('abort', end, { once: true });
    await Promise.race([what, this.#context.clock.sleep(waitMsMax, over.signal)]);
    signal.removeEventListener('abort', end);
    end();
  }

  #dueInMs(): number | undefined {
    const { dueAtMs } = this.#crew;
    if (dueAtMs === undefined) return undefined;
    return Math.max(0, dueAtMs - this.#hasteMs - this.#context.clock.elapsedMs());
  }

  #startFlush(): void {
    this.#hasteMs = 0;
    const abandon = new AbortController();
    this.#flight = { abandon, done: this.#fly(abandon.signal) };
  }

  /** Never rejects. Once abandoned, whatever comes of it is ignored: the table alone tells. */
  async #fly(abandoned: AbortSignal): Promise<void> {
    let outcome: FlushOutcome | undefined;
    try {
      const parts = await this.#crew.seal();
      if (abandoned.aborted) return;
      outcome = await flushBatches(this.#context, parts, abandoned);
    } catch (error) {
      if (!abandoned.aborted) this.#failure = error;
    }
    if (abandoned.aborted) return;
    this.#flight = undefined;
    this.#crew.tell();
    if (outcome?.kind === 'committed') this.#committed(outcome);
    else if (outcome?.kind !== 'nothing') this.#startOver = true;
    if (outcome?.kind === 'dropped') {
      const { reason } = outcome;
      this.#context.logger.warn('batch dropped: the table has moved on without it', { reason });
    }
  }

  #committed({ lostRaces, position }: { lostRaces: number; position: Position }): void {
    void this.#storeGroupOffsets(position);
    if (lostRaces === 0) return;
    // Two that flush at the same moment would do so again, an interval later.
    const { clock } = this.#context;
    this.#hasteMs = clock.random() * HASTE_SHARE_MAX * this.#intervalMs;
  }

  /** For lag displays only: nothing waits for it. */
  async #storeGroupOffsets(position: Position): Promise<void> {
    try {
      await this.#member.commitOffsets(position);
    } catch (error) {
      const { logger } = this.#context;
      logger.warn('group offsets, which serve lag displays only, were not stored', { error });
    }
  }

  /** Commits or gives up what is held, reads the table's position and seeks there. */
  async #reassign(signal: AbortSignal): Promise<void> {
    const { logger } = this.#context;
    const generation = this.#member.generation();
    await this.#commitOrGiveUp(REVOKE_WAIT_MS_MAX);
    const assignment = this.#member.assignment();
    if (assignment === undefined) return;
    const { position, bounds } = await this.#startPosition(assignment, signal);
    await this.#crew.assign(position, bounds);
    logger.info('reading clicks', { partitions: assignment.length, generation });
    this.#startOver = false;
    this.#generation = generation;
  }

  /** Leaves nothing that counts: committed, or given up where that takes too long or has become void. */
  async #commitOrGiveUp(waitMsMax: number): Promise<void> {
    const deadlineMs = this.#context.clock.elapsedMs() + waitMsMax;
    await this.#endFlight(deadlineMs);
    if (!this.#startOver) {
      this.#startFlush();
      await this.#endFlight(deadlineMs);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #endFlight(deadlineMs: number): Promise<void> {
    const { clock, logger } = this.#context;
    const flight = this.#flight;
    if (flight === undefined) return;
    const waitMs = Math.max(0, deadlineMs - clock.elapsedMs());
    await this.#waitFor(flight.done, waitMs, flight.abandon.signal);
    if (this.#flight === undefined) return;
    logger.warn('giving up a batch that could not be committed in time', { waitMs });
    flight.abandon.abort();
    this.#flight = undefined;
    this.#crew.abandon();
    this.#startOver = true;
  }

  async #startPosition(
    assignment: readonly number[],
    signal: AbortSignal,
  ): Promise<{ position: Map<number, bigint>; bounds: Awaited<ReturnType<Log['bounds']>> }> {
    const { clock, logger, status } = this.#context;
    const retry = { clock, logger, status, signal };
    const committed = await retryUntilAvailable({
      what: "reading the table's position",
      attempt: () => {
        this.#onTurn();
        return this.#loadCommitted();
      },
      ...retry,
    });
    for (const pending of committed?.pending ?? []) {
      await this.#whileTurning(settleRejects(this.#context, pending, signal));
    }
    const bounds = await retryUntilAvailable({
      what: "reading the log's bounds",
      attempt: () => {
        this.#onTurn();
        return this.#boundsOfSameLog();
      },
      ...retry,
    });
    const position = new Map<number, bigint>();
    for (const partition of assignment) {
      const { startOffset, endOffset } = bounds.get(partition) ?? EMPTY_LOG;
      const next = committed?.next.get(partition) ?? startOffset;
      this.#assertWithinLog({ partition, next, startOffset, endOffset });
      position.set(partition, next);
    }
    return { position, bounds };
  }

  /** Waits for work that waits for what is away, however long that takes; the loop is seen to turn. */
  async #whileTurning(work: Promise<void>): Promise<void> {
    const { clock } = this.#context;
    const over = new AbortController();
    const done = work.finally(() => over.abort());
    while (!over.signal.aborted) {
      this.#onTurn();
      await Promise.race([done, clock.sleep(WAIT_TURN_MS_MAX, over.signal)]);
    }
  }

  async #loadCommitted() {
    const { catalog, tables, pipeline, identity, forgotten } = this.#context;
    const { events } = tables;
    await reloadTable(catalog, events);
    const forgottenCommitId = forgotten.get(pipeline);
    return committedInLog(events.metadata, { pipeline, identity, forgottenCommitId });
  }

  /** The topic may have been recreated since it was last read, even since its bounds were (INVARIANTS.md 9). */
  async #boundsOfSameLog() {
    const { identity } = this.#context;
    const bounds = await this.#log.bounds(identity.topic);
    const found = await this.#log.describeTopic(identity.topic);
    if (found !== undefined) assertSameLog(identity, found);
    return bounds;
  }

  /** What keeps it from being committed is told: the error that follows says what to do first. */
  async #tryToDrain(waitMsMax: number): Promise<void> {
    try {
      await this.#drain(waitMsMax);
    } catch (error) {
      this.#context.logger.error('what lies before what stops the pipeline was not committed', {
        error,
      });
    }
  }

  async #drain(waitMsMax: number): Promise<void> {
    const { logger } = this.#context;
    const { rows } = this.#crew;
    if (this.#flight !== undefined || rows > 0)
      logger.info('stopping: committing what is held', { rows });
    await this.#commitOrGiveUp(waitMsMax);
  }

  #assertWithinLog(at: {
    partition: number;
    next: bigint;
    startOffset: bigint;
    endOffset: bigint;
  }): void {
    const { identity, logger } = this.#context;
    const { partition, next, startOffset, endOffset } = at;
    if (next >= startOffset && next <= endOffset) return;
    const where = `the table is at offset ${next} of ${identity.topic}-${partition}, but the log`;
    const context = { ...identity, ...at };
    if (next > endOffset) {
      const message =
        `${where} ends at ${endOffset}: it has lost records that were committed. Restore the log, or ` +
        'give the pipeline another name in pipeline.yaml to start over on this log';
      throw new EnrichError('fenced', message, { context });
    }
    const lost = `${where} starts at ${startOffset}: ${startOffset - next} offsets were deleted unread`;
    if (this.#acceptGap) {
      logger.warn(`${lost}; going on as --accept-gap allows, counted as filtered`, context);
      return;
    }
    const message = `${lost}. Restore them, or accept the loss with "tributary run --accept-gap"`;
    throw new EnrichError('fenced', message, { context });
  }
}
