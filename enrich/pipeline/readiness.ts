import { missingSchemaIds } from '../../connectors/decode-change.ts';
import { readinessSignal } from '../../connectors/readiness-signal.ts';
import type { ReadinessSignal } from '../../connectors/readiness-signal.ts';
import { EnrichError } from '../error.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Log, LogReader, RecordColumns } from '../source/log.ts';
import type { DimensionFeed } from './dimension-feed.ts';
import type { PipelineStatus } from './pipeline-status.ts';
import { isUnavailable, retryUntilAvailable } from './retry.ts';
import type { SchemaLoads } from './schema-loads.ts';
import type { SnapshotCompletion } from './snapshot-completion.ts';

const POLL_WAIT_MS_MAX = 250;
const POLL_BYTES_MAX = 1024 ** 2;
const TELL_EVERY_MS = 10_000;
const BACKOFF_MS = 500;

/**
 * Waits until clicks may be joined (INVARIANTS.md 6): Debezium's initial snapshot of the tables is complete,
 * as its notification topic or any change of the streaming phase tells, and every dimension topic has been
 * read to the end that it had at start or, where the snapshot ended later, then. Says at intervals what it
 * waits for.
 */
export async function waitUntilReady(options: {
  log: Log;
  notificationTopic: string;
  feed: DimensionFeed;
  completion: SnapshotCompletion;
  schemas: SchemaLoads;
  clock: Clock;
  logger: Logger;
  status: PipelineStatus;
  signal: AbortSignal;
}): Promise<void> {
  const { feed, completion, clock, logger, status, signal } = options;
  const wasLoaded = completion.missing().length === 0;
  if (!wasLoaded) await waitUntilLoaded(options);
  if (signal.aborted) return;
  if (!wasLoaded) {
    // Rows of the first load may have come after the ends that the feed took at its start.
    await retryUntilAvailable({
      what: "reading the ends of the dimensions' topics",
      attempt: () => feed.extendToEnds(),
      clock,
      logger,
      signal,
      status,
    });
  }
  const tell = teller(options);
  while (!signal.aborted && !feed.caughtUp) {
    const left = [...feed.remaining()].map(([name, records]) => `${records} changes of ${name}`);
    tell(`still to be read: ${left.join(', ')}`);
    await clock.sleep(50, signal);
  }
}

type WaitOptions = Parameters<typeof waitUntilReady>[0];

/** Reads notifications until every dimension is known to be loaded. */
async function waitUntilLoaded(options: WaitOptions): Promise<void> {
  const { completion, clock, logger, status, signal } = options;
  const retry = { clock, logger, signal, status };
  const notifications = await retryUntilAvailable({
    what: 'opening the notification topic',
    attempt: () => NotificationReader.open(options),
    ...retry,
  });
  const tell = teller(options);
  try {
    // Notifications are read to their end first: a later one may tell of a table that was added.
    while (!signal.aborted && (completion.missing().length > 0 || !notifications.caughtUp)) {
      await readOnce(notifications, options);
      if (completion.missing().length > 0) tell(whatIsNotLoaded(options));
    }
    await retryUntilAvailable({
      what: 'storing that the dimensions are loaded',
      attempt: () => completion.remember(),
      ...retry,
    });
  } finally {
    await notifications.close();
  }
}

/** Waits out what is away: the next look reads the same records again. */
async function readOnce(
  notifications: NotificationReader,
  { clock, signal, completion }: WaitOptions,
): Promise<void> {
  try {
    await notifications.read((told) => completion.take(told));
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    await clock.sleep(BACKOFF_MS * (1 + clock.random()), signal);
  }
}

function whatIsNotLoaded({ completion, notificationTopic }: WaitOptions): string {
  const missing = completion.missing();
  const leftOut = missing.filter((dimension) => completion.isLeftOut(dimension));
  if (leftOut.length > 0) {
    return (
      `the initial snapshot is over and has not read the table of ${leftOut.join(', ')}; ` +
      '"tributary connectors apply" starts an incremental snapshot of tables that were added later'
    );
  }
  return (
    `no word on ${notificationTopic} or in the change topics that Debezium's initial snapshot is ` +
    `complete (${missing.join(', ')}); see "tributary connectors status"`
  );
}

/** Shows what is waited for, and logs it at intervals. */
function teller({ clock, logger, status }: WaitOptions): (waiting: string) => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return (waiting) => {
    status.waitFor(waiting);
    if (clock.elapsedMs() - toldMs < TELL_EVERY_MS) return;
    toldMs = clock.elapsedMs();
    logger.info(`not joining yet: ${waiting}`);
  };
}

/** Reads Debezium's notification topic from its start. */
class NotificationReader {
  readonly #reader: LogReader;
  readonly #schemas: SchemaLoads;
  readonly #topic: string;
  readonly #next: Map<number, bigint>;
  /** Partitions that are not known to be read to their end. */
  readonly #behind: Set<number>;
  #isCaughtUp = false;

  private constructor(
    reader: LogReader,
    schemas: SchemaLoads,
    topic: string,
    next: Map<number, bigint>,
  ) {
    this.#reader = reader;
    this.#schemas = schemas;
    this.#topic = topic;
    this.#next = next;
    this.#behind = new Set(next.keys());
  }

  static async open(options: {
    log: Log;
    notificationTopic: string;
    schemas: SchemaLoads;
  }): Promise<NotificationReader> {
    const { log, notificationTopic: topic, schemas } = options;
    if ((await log.describeTopic(topic)) === undefined) {
      throw new EnrichError(
        'config',
        `topic ${topic} (readiness.notification_topic) does not exist; run "tributary connectors apply" first`,
      );
    }
    const bounds = await log.bounds(topic);
    const next = new Map(
      [...bounds].map(([partition, { startOffset }]) => [partition, startOffset]),
    );
    const notifications = new NotificationReader(await log.openReader(), schemas, topic, next);
    notifications.#seek();
    return notifications;
  }

  /** True once everything was read that the topic held at the last poll. */
  get caughtUp(): boolean {
    return this.#isCaughtUp;
  }

  /**
   * Polls once. A schema that is not loaded yet is loaded, and its record read again; so is what was polled
   * before an error.
   */
  async read(take: (signal: ReadinessSignal) => void): Promise<void> {
    const missing = new Set<number>();
    const blocked = new Set<number>();
    const sink = (_topic: string, partition: number, records: RecordColumns): void => {
      if (blocked.has(partition)) return;
      for (let index = 0; index < records.count; index++) {
        const value = valueOf(records, index);
        const schemaId = unresolvedId(value, this.#schemas);
        if (schemaId !== undefined) {
          missing.add(schemaId);
          blocked.add(partition);
          return;
        }
        const signal = readinessSignal({ key: null, value }, (id) => this.#schemas.resolve(id));
        if (signal !== undefined) take(signal);
        const offset = records.baseOffset + BigInt(records.offsetDelta[index] ?? 0);
        this.#next.set(partition, offset + 1n);
      }
    };
    try {
      const progress = await this.#reader.poll(sink, {
        waitMsMax: POLL_WAIT_MS_MAX,
        bytesMax: POLL_BYTES_MAX,
      });
      for (const { partition, nextOffset, endOffset } of progress) {
        const isBehind = blocked.has(partition) || nextOffset < endOffset;
        if (isBehind) this.#behind.add(partition);
        else this.#behind.delete(partition);
      }
      this.#isCaughtUp = this.#behind.size === 0;
      if (missing.size > 0) {
        await this.#schemas.load(missing);
        this.#seek();
      }
    } catch (error) {
      this.#seek();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  #seek(): void {
    this.#reader.assign(
      [...this.#next].map(([partition, nextOffset]) => ({
        topic: this.#topic,
        partition,
        nextOffset,
      })),
    );
  }
}

function valueOf(records: RecordColumns, index: number): Uint8Array | null {
  const start = records.valueStart[index] ?? 0;
  const length = records.valueLength[index] ?? -1;
  return length < 0 ? null : records.bytes.subarray(start, start + length);
}

function unresolvedId(value: Uint8Array | null, schemas: SchemaLoads): number | undefined {
  const [missing] = missingSchemaIds({ key: null, value }, (id) => schemas.resolve(id));
  return missing === undefined || schemas.isUnknown(missing) ? undefined : missing;
}
