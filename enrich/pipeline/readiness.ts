import { missingSchemaIds } from '../../connectors/decode-change.ts';
import { readinessSignal } from '../../connectors/readiness-signal.ts';
import { EnrichError } from '../error.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Log, LogReader, RecordColumns } from '../source/log.ts';
import type { DimensionFeed } from './dimension-feed.ts';
import type { PipelineStatus } from './pipeline-status.ts';
import { isUnavailable, retryUntilAvailable } from './retry.ts';
import type { SchemaCache } from './schema-cache.ts';

const POLL_WAIT_MS_MAX = 250;
const POLL_BYTES_MAX = 1024 ** 2;
const TELL_EVERY_MS = 10_000;
const BACKOFF_MS = 500;

/** Whether Debezium's initial snapshot is known complete; once it is, it stays so. */
export type SnapshotCompletion = {
  known: () => boolean;
  /** Remembers it in the state, so that a restart need not see the signal again. */
  remember: () => Promise<void>;
};

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
  schemas: SchemaCache;
  clock: Clock;
  logger: Logger;
  status: PipelineStatus;
  signal: AbortSignal;
}): Promise<void> {
  const { feed, completion, clock, logger, status, signal } = options;
  const retry = { clock, logger, signal, status };
  const notifications = completion.known()
    ? undefined
    : await retryUntilAvailable({
        what: 'opening the notification topic',
        attempt: () => NotificationReader.open(options),
        ...retry,
      });
  let endsHoldSnapshot = completion.known();
  let toldMs = Number.NEGATIVE_INFINITY;
  try {
    while (!signal.aborted) {
      if (!completion.known() && (await sawCompletion(notifications, options))) {
        await retryUntilAvailable({
          what: 'storing that the initial snapshot is complete',
          attempt: completion.remember,
          ...retry,
        });
      }
      if (completion.known() && !endsHoldSnapshot) {
        // Its rows may have come after the ends that the feed took at its start.
        await retryUntilAvailable({
          what: "reading the ends of the dimensions' topics",
          attempt: () => feed.extendToEnds(),
          ...retry,
        });
        endsHoldSnapshot = true;
      }
      const waiting = whatIsMissing(feed, completion, options.notificationTopic);
      if (waiting === undefined) return;
      status.waitFor(waiting);
      if (clock.nowMs() - toldMs >= TELL_EVERY_MS) {
        toldMs = clock.nowMs();
        logger.info(`not joining yet: ${waiting}`);
      }
      if (completion.known()) await clock.sleep(50, signal);
    }
  } finally {
    await notifications?.close();
  }
}

/** Waits out what is away: the next look reads the same records again. */
async function sawCompletion(
  notifications: NotificationReader | undefined,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<boolean> {
  try {
    return (await notifications?.sawCompletion()) === true;
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    await clock.sleep(BACKOFF_MS * (1 + clock.random()), signal);
    return false;
  }
}

function whatIsMissing(
  feed: DimensionFeed,
  completion: SnapshotCompletion,
  notificationTopic: string,
): string | undefined {
  if (!completion.known()) {
    return (
      `no word on ${notificationTopic} or in the change topics that Debezium's initial snapshot is ` +
      'complete; see "tributary connectors status"'
    );
  }
  if (feed.caughtUp) return undefined;
  const left = [...feed.remaining()].map(([name, records]) => `${records} changes of ${name}`);
  return `still to be read: ${left.join(', ')}`;
}

/** Reads Debezium's notification topic from its start. */
class NotificationReader {
  readonly #reader: LogReader;
  readonly #schemas: SchemaCache;
  readonly #topic: string;
  readonly #next: Map<number, bigint>;

  private constructor(
    reader: LogReader,
    schemas: SchemaCache,
    topic: string,
    next: Map<number, bigint>,
  ) {
    this.#reader = reader;
    this.#schemas = schemas;
    this.#topic = topic;
    this.#next = next;
  }

  static async open(options: {
    log: Log;
    notificationTopic: string;
    schemas: SchemaCache;
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

  /**
   * Polls once. A schema that is not loaded yet is loaded, and its record read again; so is what was polled
   * before an error.
   */
  async sawCompletion(): Promise<boolean> {
    let complete = false;
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
        if (signal !== undefined) complete = true;
        this.#next.set(
          partition,
          records.baseOffset + BigInt(records.offsetDelta[index] ?? 0) + 1n,
        );
      }
    };
    try {
      await this.#reader.poll(sink, { waitMsMax: POLL_WAIT_MS_MAX, bytesMax: POLL_BYTES_MAX });
      for (const id of missing) await this.#schemas.load(id);
      if (missing.size > 0) this.#seek();
    } catch (error) {
      this.#seek();
      throw error;
    }
    return complete;
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

function unresolvedId(value: Uint8Array | null, schemas: SchemaCache): number | undefined {
  const [missing] = missingSchemaIds({ key: null, value }, (id) => schemas.resolve(id));
  return missing === undefined || schemas.isUnknown(missing) ? undefined : missing;
}
