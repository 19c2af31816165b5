import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer } from '@platformatic/kafka';
import type { EnrichError } from '../error.ts';
import { backOffMs } from './back-off.ts';
import type { GroupMember } from './log.ts';
import { fromClientError } from './platformatic-fault.ts';

/** Membership by the client: heartbeats, cooperative-sticky assignment, rejoin after each loss. */
export class ConsumerGroupMember implements GroupMember {
  readonly #consumer: Consumer;
  readonly #topic: string;
  readonly #random: () => number;
  readonly #onFault: (fault: EnrichError) => void;
  readonly #onLeft: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #leaving = new AbortController();
  #partitions: readonly number[] | undefined;
  #generation = 0;

  constructor(
    consumer: Consumer,
    options: {
      topic: string;
      random: () => number;
      onFault: (fault: EnrichError) => void;
      onLeft: () => void;
    },
  ) {
    this.#consumer = consumer;
    this.#topic = options.topic;
    this.#random = options.random;
    this.#onFault = options.onFault;
    this.#onLeft = options.onLeft;
    consumer.topics.trackAll(options.topic);
    consumer.on('consumer:group:join', () => this.#assigned());
    consumer.on('consumer:group:rebalance', () => this.#revoked());
    consumer.on('consumer:heartbeat:error', ({ error }) => this.#tell(error));
    // The client gives up after a failed rejoin and sends no more heartbeats.
    consumer.on('error', (error) => void this.#rejoin(error));
  }

  assignment(): readonly number[] | undefined {
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
      await this.#consumer.joinGroup({});
    } catch (error) {
      throw fromClientError(`group ${this.#consumer.groupId}`, error);
    }
  }

  async commitOffsets(position: ReadonlyMap<number, bigint>): Promise<void> {
    const topic = this.#topic;
    const offsets = Array.from(position, ([partition, offset]) => ({
      topic,
      partition,
      offset,
      leaderEpoch: -1,
    }));
    try {
      await this.#consumer.commit({ offsets });
    } catch (error) {
      throw fromClientError(`group ${this.#consumer.groupId}`, error);
    }
  }

  async leave(): Promise<void> {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    this.#partitions = undefined;
    this.#onLeft();
    try {
      await this.#consumer.close(true);
    } catch {
      // The coordinator did not hear of it: the session times out by itself. Nothing may stay open here.
      await this.#consumer.connections.close();
    }
  }

  #assigned(): void {
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

  #tell(error: unknown): void {
    if (this.#leaving.signal.aborted) return;
    this.#onFault(fromClientError(`group ${this.#consumer.groupId}`, error));
  }
}
