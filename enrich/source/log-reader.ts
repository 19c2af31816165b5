import { setTimeout as sleep } from 'node:timers/promises';
import { EnrichError } from '../error.ts';
import type { LogReader, PartitionProgress, RecordSink } from './log.ts';
import { backOffMs } from './back-off.ts';
import type { FetchResponse, FetchedPartition } from './wire/fetch-response.ts';
import { createRecordColumns, walkBatches, type WalkSettings } from './wire/walk-batches.ts';

export type TopicRoute = {
  topicId: string;
  /** Broker id of each partition's leader; undefined while one is being elected. */
  leaders: readonly (number | undefined)[];
};

export type OffsetBounds = { startOffset: bigint; endOffset: bigint };

export type FetchRequest = {
  waitMsMax: number;
  bytesMax: number;
  partitions: readonly {
    topicId: string;
    partition: number;
    nextOffset: bigint;
    bytesMax: number;
  }[];
};

/** One broker over connections of its own. The bytes of a response are valid until the next `fetch`. */
export interface BrokerLink {
  fetch(request: FetchRequest): Promise<FetchResponse>;
  close(): void;
}

/** What a reader needs of a cluster. Failures are EnrichErrors: `unavailable` to try again, else final. */
export interface Cluster {
  /** Topics that do not exist are absent from the answer. */
  routes(topics: readonly string[]): Promise<ReadonlyMap<string, TopicRoute>>;
  /** From the first retained offset to the log's end, uncommitted records included. */
  logBounds(topic: string, partition: number): Promise<OffsetBounds>;
  openLink(brokerId: number): BrokerLink;
}

export type LogReaderOptions = {
  cluster: Cluster;
  crc32c: (bytes: Uint8Array) => number;
  decompressedBytesMax: number;
  partitionBytesMax: number;
  /** In [0, 1): spreads the retries. */
  random: () => number;
  /** The topic id that the caller was last told for a topic; another one on the broker is `fenced`. */
  knownTopicId: (topic: string) => string | undefined;
  /** Told about each fault that the reader rides out by itself. */
  onFault: (fault: EnrichError) => void;
  onClosed: () => void;
};

const OFFSET_OUT_OF_RANGE = 1;
const TOPIC_AUTHORIZATION_FAILED = 29;

/** A batch that is damaged on the way is sound the next time; after so many it is the broker's copy. */
const DAMAGES_MAX = 3;

/** A deleted topic is gone from the metadata for good, a young one may be missing on a lagging broker. */
const ABSENCES_MAX = 5;

type Slot = {
  readonly topic: string;
  readonly partition: number;
  nextOffset: bigint;
  topicId: string | undefined;
  /** Undefined until routed, and again after each fault. */
  leader: number | undefined;
  /** Faults in a row: they set how long the next routing waits. */
  faults: number;
  /** Damaged batches in a row. */
  damages: number;
  /** The broker called `nextOffset` out of range; the next routing checks it against the log's bounds. */
  suspect: boolean;
};

type Lane = {
  readonly link: BrokerLink;
  /** What the request in flight asked for, by topic id and partition. */
  asked: ReadonlyMap<string, Slot> | undefined;
  arrived: FetchResponse | undefined;
};

/**
 * Reads partitions straight from their leaders: one fetch in flight for each broker, so that a slow or
 * lost broker does not hold up the others. While the caller works on what a poll gave it, the next
 * fetches are on their way; at most one response for each broker waits in memory.
 *
 * Leader changes, elections and lost connections are ridden out with jittered back-off and told to
 * `onFault`; polls then return what the other brokers have. Final faults are thrown by `poll`: `fenced`
 * (offset no longer in the log, topic deleted or recreated), `config` (no permission), `corrupt`.
 */
export class KafkaLogReader implements LogReader {
  readonly #options: LogReaderOptions;
  readonly #walk: WalkSettings;
  /** In reading order: a partition that gave records goes to the end, so none starves under `bytesMax`. */
  #slots = new Set<Slot>();
  readonly #lanes = new Map<number, Lane>();
  #closed = false;
  /** Present while a routing is under way; aborted to start it anew, without its back-off. */
  #routing: AbortController | undefined;
  #absences = 0;
  #final: unknown;
  #polling = false;
  #wake = Promise.withResolvers<void>();

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.#walk = {
      crc32c: options.crc32c,
      decompressedBytesMax: options.decompressedBytesMax,
      columns: createRecordColumns(),
    };
  }

  assign(positions: readonly { topic: string; partition: number; nextOffset: bigint }[]): void {
    const kept = new Map([...this.#slots].map((slot) => [slotName(slot), slot]));
    const slots = positions.map((position): Slot => {
      const slot = kept.get(slotName(position));
      const knownTopicId = this.#options.knownTopicId(position.topic) ?? slot?.topicId;
      if (slot?.nextOffset === position.nextOffset && slot.topicId === knownTopicId) return slot;
      const fresh = { topicId: undefined, leader: undefined, faults: 0, damages: 0 };
      return { ...position, ...fresh, suspect: false };
    });
    const changed =
      slots.length !== this.#slots.size || slots.some((slot) => !this.#slots.has(slot));
    this.#slots = new Set(slots);
    this.#final = undefined;
    this.#absences = 0;
    // A long poll for the old partitions must not delay the new ones.
    if (!changed) return;
    for (const brokerId of this.#lanes.keys()) this.#dropLane(brokerId);
    this.#routing?.abort();
    this.#routing = undefined;
  }

  async poll(
    sink: RecordSink,
    limits: { waitMsMax: number; bytesMax: number },
  ): Promise<readonly PartitionProgress[]> {
    if (this.#polling) throw new Error('one poll at a time: the previous one has not returned');
    this.#polling = true;
    let expired = false;
    const timer = setTimeout(() => {
      expired = true;
      this.#wake.resolve();
    }, limits.waitMsMax);
    try {
      const progress: PartitionProgress[] = [];
      let advanced = false;
      while (!advanced && !this.#closed) {
        this.#wake = Promise.withResolvers();
        if (this.#final !== undefined) throw this.#final;
        for (const lane of this.#lanes.values()) {
          if (this.#deliver(lane, sink, progress)) advanced = true;
        }
        this.#startFetches(limits);
        if (expired) break;
        if (!advanced) await this.#wake.promise;
      }
      return progress;
    } finally {
      clearTimeout(timer);
      this.#polling = false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#routing?.abort();
    this.#slots.clear();
    for (const brokerId of this.#lanes.keys()) this.#dropLane(brokerId);
    this.#wake.resolve();
    this.#options.onClosed();
  }

  #startFetches(limits: { waitMsMax: number; bytesMax: number }): void {
    const byBroker = new Map<number, Slot[]>();
    for (const slot of this.#slots) {
      if (slot.leader === undefined) this.#startRouting();
      else byBroker.set(slot.leader, [...(byBroker.get(slot.leader) ?? []), slot]);
    }
    for (const [brokerId, lane] of this.#lanes) {
      if (lane.asked === undefined && !byBroker.has(brokerId)) this.#dropLane(brokerId);
    }
    const bytesMax = Math.max(1, Math.floor(limits.bytesMax / Math.max(1, byBroker.size)));
    for (const [brokerId, slots] of byBroker) {
      let lane = this.#lanes.get(brokerId);
      if (lane === undefined) {
        lane = {
          link: this.#options.cluster.openLink(brokerId),
          asked: undefined,
          arrived: undefined,
        };
        this.#lanes.set(brokerId, lane);
      }
      if (lane.asked === undefined) {
        void this.#fetch(brokerId, lane, slots, { waitMsMax: limits.waitMsMax, bytesMax });
      }
    }
  }

  async #fetch(
    brokerId: number,
    lane: Lane,
    slots: readonly Slot[],
    limits: { waitMsMax: number; bytesMax: number },
  ): Promise<void> {
    const partitionBytesMax = Math.min(limits.bytesMax, this.#options.partitionBytesMax);
    lane.asked = new Map(slots.map((slot) => [`${slot.topicId}/${slot.partition}`, slot]));
    const partitions = slots.map(({ topicId = '', partition, nextOffset }) => ({
      topicId,
      partition,
      nextOffset,
      bytesMax: partitionBytesMax,
    }));
    try {
      const response = await lane.link.fetch({ ...limits, partitions });
      if (response.errorCode !== 0) throw brokerFault(`broker ${brokerId}`, response.errorCode);
      lane.arrived = response;
    } catch (error) {
      // A lane that was dropped on purpose fails too: that is no fault.
      if (this.#lanes.get(brokerId) !== lane) return;
      this.#dropLane(brokerId);
      this.#ride(
        error,
        slots.filter((slot) => this.#slots.has(slot)),
      );
    }
    this.#wake.resolve();
  }

  /** Walks what a broker sent; true if the next offset of any partition moved. */
  #deliver(lane: Lane, sink: RecordSink, progress: PartitionProgress[]): boolean {
    const { arrived, asked } = lane;
    if (arrived === undefined || asked === undefined) return false;
    let advanced = false;
    try {
      for (const fetched of arrived.partitions) {
        const slot = asked.get(`${fetched.topicId}/${fetched.partition}`);
        if (slot === undefined || !this.#slots.has(slot)) continue;
        if (fetched.errorCode !== 0) {
          this.#rideCode(slot, fetched.errorCode);
          continue;
        }
        slot.faults = 0;
        const before = slot.nextOffset;
        try {
          this.#walkPartition(slot, fetched, arrived.bytes, sink);
          slot.damages = 0;
        } catch (error) {
          this.#rideDamage(slot, error);
        }
        if (slot.nextOffset !== before) advanced = true;
        const endOffset = fetched.lastStableOffset;
        const { topic, partition, nextOffset } = slot;
        progress.push({ topic, partition, nextOffset, endOffset });
      }
    } finally {
      lane.arrived = undefined;
      lane.asked = undefined;
    }
    return advanced;
  }

  /** Moves the slot on past each batch that it hands over, also where a later one is damaged. */
  #walkPartition(slot: Slot, fetched: FetchedPartition, bytes: Uint8Array, sink: RecordSink): void {
    if (fetched.recordsEnd === fetched.recordsStart) return;
    const { topic, partition } = slot;
    const range = {
      topic,
      partition,
      bytes,
      start: fetched.recordsStart,
      end: fetched.recordsEnd,
      nextOffset: slot.nextOffset,
      aborted: fetched.aborted,
    };
    const nextOffset = walkBatches(range, this.#walk, (records) => {
      sink(topic, partition, records);
      const last = records.offsetDelta[records.count - 1] ?? 0;
      slot.nextOffset = records.baseOffset + BigInt(last) + 1n;
    });
    if (nextOffset === range.nextOffset) {
      // A broker sends the first batch whole whatever the limits: to ask again would never end.
      throw new EnrichError(
        'corrupt',
        `${topic}-${partition}: the record batch at offset ${nextOffset} is longer than the response that holds it`,
        { context: { topic, partition, offset: nextOffset } },
      );
    }
    slot.nextOffset = nextOffset;
    this.#slots.delete(slot);
    this.#slots.add(slot);
  }

  /** Fetches a damaged batch again, over another connection; throws where it stays damaged. */
  #rideDamage(slot: Slot, error: unknown): void {
    if (!(error instanceof EnrichError) || error.kind !== 'corrupt') throw error;
    slot.damages += 1;
    if (slot.damages >= DAMAGES_MAX) throw staysDamaged(error, slot.damages);
    if (slot.leader !== undefined) this.#dropLane(slot.leader);
    this.#ride(new EnrichError('unavailable', `${error.message}; fetching it again`), [slot]);
  }

  #rideCode(slot: Slot, errorCode: number): void {
    slot.suspect = errorCode === OFFSET_OUT_OF_RANGE;
    this.#ride(brokerFault(`${slot.topic}-${slot.partition}`, errorCode), [slot]);
  }

  /** Routes the slots anew after a fault that passes, or ends the reading with one that does not. */
  #ride(error: unknown, slots: readonly Slot[]): void {
    if (!(error instanceof EnrichError) || error.kind !== 'unavailable') {
      this.#final = error;
      this.#wake.resolve();
      return;
    }
    for (const slot of slots) {
      slot.leader = undefined;
      slot.faults += 1;
    }
    this.#options.onFault(error);
  }

  #startRouting(): void {
    if (this.#routing !== undefined) return;
    const routing = new AbortController();
    this.#routing = routing;
    void this.#route(routing.signal).finally(() => {
      if (this.#routing === routing) this.#routing = undefined;
      this.#wake.resolve();
    });
  }

  /** Finds the leaders of all slots without one; waits first, as long as the least faulty of them says. */
  async #route(signal: AbortSignal): Promise<void> {
    const lost = () => [...this.#slots].filter((slot) => slot.leader === undefined);
    const faults = Math.min(...lost().map((slot) => slot.faults));
    try {
      if (faults > 0) await sleep(backOffMs(faults, this.#options.random), undefined, { signal });
      const topics = new Set(lost().map((slot) => slot.topic));
      const routes = await this.#options.cluster.routes([...topics]);
      for (const slot of lost()) {
        if (slot.suspect) await this.#checkBounds(slot);
        if (signal.aborted) return;
        this.#routeSlot(slot, routes);
      }
    } catch (error) {
      if (!signal.aborted) this.#ride(error, lost());
    }
  }

  #routeSlot(slot: Slot, routes: ReadonlyMap<string, TopicRoute>): void {
    const { topic, partition } = slot;
    const route = routes.get(topic);
    if (route === undefined) {
      this.#absences += 1;
      if (this.#absences >= ABSENCES_MAX) throw topicGone(topic);
      throw new EnrichError('unavailable', `topic ${topic} is not in the cluster's metadata`, {
        context: { topic },
      });
    }
    this.#absences = 0;
    slot.topicId ??= this.#options.knownTopicId(topic) ?? route.topicId;
    if (slot.topicId !== route.topicId) throw topicRecreated(slot, route.topicId);
    slot.leader = route.leaders[partition];
    if (slot.leader === undefined) {
      this.#ride(brokerFault(`${topic}-${partition}`, LEADER_NOT_AVAILABLE), [slot]);
    }
  }

  /** The end of a log may lag on a new leader: only an offset outside the bounds ends the reading. */
  async #checkBounds(slot: Slot): Promise<void> {
    const { topic, partition, nextOffset } = slot;
    const bounds = await this.#options.cluster.logBounds(topic, partition);
    if (nextOffset < bounds.startOffset || nextOffset > bounds.endOffset) {
      throw outOfRange({ topic, partition, nextOffset, ...bounds });
    }
    slot.suspect = false;
  }

  #dropLane(brokerId: number): void {
    const lane = this.#lanes.get(brokerId);
    this.#lanes.delete(brokerId);
    lane?.link.close();
  }
}

const LEADER_NOT_AVAILABLE = 5;

function slotName(slot: { topic: string; partition: number }): string {
  return `${slot.topic}/${slot.partition}`;
}

function brokerFault(where: string, errorCode: number): EnrichError {
  if (errorCode === TOPIC_AUTHORIZATION_FAILED) {
    return new EnrichError(
      'config',
      `${where}: the Kafka user may not read this topic; grant it READ and DESCRIBE`,
    );
  }
  return new EnrichError('unavailable', `${where}: the broker answered error ${errorCode}`, {
    context: { where, errorCode },
  });
}

function staysDamaged(error: EnrichError, fetches: number): EnrichError {
  return new EnrichError(
    'corrupt',
    `${error.message}, each of ${fetches} times that it was fetched. Nothing was skipped. Let another ` +
      'replica of the partition lead, or restore its log; if no sound copy is left, see "A damaged record ' +
      'batch" in docs/operations.md',
    { context: error.context, cause: error.cause },
  );
}

/** A reader does not know whose topic it reads. */
const BUILT_ANEW =
  'of a dimension by deleting state.directory, which is built again from the topics';
const GO_ON =
  'To go on with a new topic of that name, give the pipeline another name in pipeline.yaml where it is the ' +
  "stream's, and delete state.directory, which is built again from the topics, where it is a dimension's";

/** The `fenced` error for an offset that the log does not hold (any more, or yet). */
export function outOfRange(at: {
  topic: string;
  partition: number;
  nextOffset: bigint;
  startOffset: bigint;
  endOffset: bigint;
}): EnrichError {
  const { topic, partition, nextOffset, startOffset, endOffset } = at;
  const lost =
    nextOffset < startOffset
      ? `records ${nextOffset} to ${startOffset - 1n} were deleted unread. Nothing was skipped. Restore them and raise ` +
        `the topic's retention, or accept the loss: of the stream with "tributary run --accept-gap", ${BUILT_ANEW}`
      : `the log ends at ${endOffset}: it has lost records, or is another one. Nothing was read. Restore it, or start ` +
        `over on it: with the stream by another name of the pipeline in pipeline.yaml, ${BUILT_ANEW}`;
  return new EnrichError(
    'fenced',
    `${topic}-${partition}: offset ${nextOffset} was asked for, the log starts at ${startOffset}: ${lost}`,
    { context: { ...at } },
  );
}

/** The `fenced` error for a topic that has gone while it was read. */
export function topicGone(topic: string): EnrichError {
  return new EnrichError(
    'fenced',
    `topic ${topic} was deleted, and its position counts in a log that is gone. ${GO_ON}`,
    { context: { topic } },
  );
}

/** The `fenced` error for a topic that was deleted and created again under its name (invariant 9). */
export function topicRecreated(
  slot: { topic: string; topicId: string | undefined },
  brokerTopicId: string,
): EnrichError {
  return new EnrichError(
    'fenced',
    `topic ${slot.topic} was recreated: its id was ${slot.topicId} and is ${brokerTopicId} now, so its position counts ` +
      `in a log that is gone. ${GO_ON}`,
    { context: { topic: slot.topic, topicId: slot.topicId, brokerTopicId } },
  );
}
