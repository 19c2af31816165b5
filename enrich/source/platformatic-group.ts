import { setTimeout as sleep } from 'node:timers/promises';
import {
  consumerHeartbeatChannel,
  findErrorBy,
  offsetCommitV8,
  type Connection,
  type Consumer,
} from '@platformatic/kafka';
import { EnrichError } from '../error.ts';
import { backOffMs } from './back-off.ts';
import type { GroupMember } from './log.ts';
import { fromClientError, unavailable } from './platformatic-fault.ts';

/** What the client publishes about a heartbeat that failed. */
type FailedHeartbeat = { client: unknown; error?: unknown };

/**
 * Membership by the client: heartbeats, cooperative-sticky assignment, rejoin after each loss. Two things
 * the client leaves to us. It takes a fenced name back by itself, so that two processes of one name would
 * fence each other for ever: the fenced one ends here, and `assignment` throws. And it looks at the number
 * of partitions only while it assigns: the leader checks it from time to time and has the group assign anew.
 */
export class ConsumerGroupMember implements GroupMember {
  readonly #consumer: Consumer;
  readonly #topic: string;
  readonly #random: () => number;
  readonly #onFault: (fault: EnrichError) => void;
  readonly #onLeft: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #leaving = new AbortController();
  readonly #partitionCheckMs: number;
  #partitionCheck: NodeJS.Timeout | undefined;
  /** As of the last look; 0 before the first. */
  #partitionCount = 0;
  #isLeader = false;
  #final: EnrichError | undefined;
  #partitions: readonly number[] | undefined;
  #generation = 0;

  constructor(
    consumer: Consumer,
    options: {
      topic: string;
      partitionCheckMs: number;
      random: () => number;
      onFault: (fault: EnrichError) => void;
      onLeft: () => void;
    },
  ) {
    this.#consumer = consumer;
    this.#topic = options.topic;
    this.#partitionCheckMs = options.partitionCheckMs;
    this.#random = options.random;
    this.#onFault = options.onFault;
    this.#onLeft = options.onLeft;
    consumer.topics.trackAll(options.topic);
    consumer.on('consumer:group:join', ({ isLeader }) => this.#assigned(isLeader ?? false));
    consumer.on('consumer:group:rebalance', () => this.#revoked());
    consumer.on('consumer:heartbeat:error', ({ error }) => this.#tell(error));
    // The client gives up after a failed rejoin and sends no more heartbeats.
    consumer.on('error', (error) => void this.#rejoin(error));
    consumerHeartbeatChannel.error.subscribe(this.#onFailedHeartbeat);
  }

  assignment(): readonly number[] | undefined {
    if (this.#final !== undefined) throw this.#final;
    // Without a member id the group has dropped us and a rejoin is under way.
    return this.#consumer.memberId === null ? undefined : this.#partitions;
  }

  generation(): number {
    return this.#generation;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async join(): Promise<void> {
    try {
      this.#partitionCount = await this.#countPartitions();
      await this.#consumer.joinGroup({});
    } catch (error) {
      throw fromClientError(`group ${this.#consumer.groupId}`, error);
    }
    this.#partitionCheck = setInterval(() => void this.#checkPartitions(), this.#partitionCheckMs);
    this.#partitionCheck.unref();
  }

  async commitOffsets(position: ReadonlyMap<number, bigint>): Promise<void> {
    const consumer = this.#consumer;
    const { groupId, generationId, memberId, groupInstanceId } = consumer;
    // While the group assigns anew it takes no offsets; those of the next commit will do.
    if (memberId === null || !consumer.isActive()) return;
    const partitions = Array.from(position, ([partitionIndex, committedOffset]) => ({
      partitionIndex,
      committedOffset,
      committedLeaderEpoch: -1,
    }));
    const topics = [{ name: this.#topic, partitions }];
    try {
      const connection = await this.#connectToCoordinator();
      // Not by the client's own commit, which joins again where it is refused: a rebalance would bring the next.
      await offsetCommitV8.api.async(
        connection,
        groupId,
        generationId,
        memberId,
        groupInstanceId,
        topics,
      );
    } catch (error) {
      throw fromClientError(`group ${groupId}`, error);
    }
  }

  async leave(): Promise<void> {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    clearInterval(this.#partitionCheck);
    consumerHeartbeatChannel.error.unsubscribe(this.#onFailedHeartbeat);
    this.#partitions = undefined;
    this.#onLeft();
    try {
      await this.#consumer.close(true);
    } catch {
      // The coordinator did not hear of it: the session times out by itself. Nothing may stay open here.
      await this.#consumer.connections.close();
    }
  }

  /** The only place that tells of a fenced name: the client rejoins without an event. */
  readonly #onFailedHeartbeat = (heartbeat: unknown): void => {
    const { client, error } = heartbeat as FailedHeartbeat;
    if (client !== this.#consumer || !isFenced(error)) return;
    this.#end(
      new EnrichError(
        'fenced',
        `group ${this.#consumer.groupId}: another process has joined under the name of this one, so it ` +
          'uses this state directory or a copy of it. Give each process a state directory of its own',
        { cause: error },
      ),
    );
  };

  /** Stops taking part; the next look at the assignment says why. */
  #end(final: EnrichError): void {
    this.#final ??= final;
    void this.leave();
    for (const listener of this.#listeners) listener();
  }

  async #connectToCoordinator(): Promise<Connection> {
    const nodeId = await this.#consumer.findGroupCoordinator();
    const { brokers } = await this.#consumer.metadata({ topics: [this.#topic] });
    const broker = brokers.get(nodeId);
    if (broker === undefined) throw unavailable(`broker ${nodeId} is not in the cluster`);
    return this.#consumer.connections.get(broker);
  }

  async #countPartitions(): Promise<number> {
    const topic = this.#topic;
    const { topics } = await this.#consumer.metadata({ topics: [topic], forceUpdate: true });
    return topics.get(topic)?.partitionsCount ?? 0;
  }

  /** Any member looks, which renews what it knows should it come to lead; only the leader's rejoin counts. */
  async #checkPartitions(): Promise<void> {
    try {
      const count = await this.#countPartitions();
      if (count === this.#partitionCount || this.#leaving.signal.aborted) return;
      if (!this.#isLeader || this.assignment() === undefined) return;
      this.#partitionCount = count;
      await this.#consumer.joinGroup({});
    } catch (error) {
      this.#tell(error);
    }
  }

  #assigned(isLeader: boolean): void {
    this.#isLeader = isLeader;
    const mine = this.#consumer.assignments?.find(({ topic }) => topic === this.#topic);
    this.#partitions = (mine?.partitions ?? []).toSorted((a, b) => a - b);
    this.#generation += 1;
    for (const listener of this.#listeners) listener();
  }

  #revoked(): void {
    if (this.#partitions === undefined) return;
    this.#partitions = undefined;
    for (const listener of this.#listeners) listener();
  }

  async #rejoin(cause: unknown): Promise<void> {
    this.#tell(cause);
    this.#revoked();
    const { signal } = this.#leaving;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        await sleep(backOffMs(attempt, this.#random), undefined, { signal });
        await this.#consumer.joinGroup({});
        return;
      } catch (error) {
        this.#tell(error);
      }
    }
  }

  /** Reports what may pass; a refused permission does not. */
  #tell(error: unknown): void {
    if (this.#leaving.signal.aborted) return;
    const fault = fromClientError(`group ${this.#consumer.groupId}`, error);
    if (fault.kind === 'unavailable') this.#onFault(fault);
    else this.#end(fault);
  }
}

function isFenced(error: unknown): boolean {
  return error instanceof Error && findErrorBy(error, 'apiId', 'FENCED_INSTANCE_ID') !== null;
}
