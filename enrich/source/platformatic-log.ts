import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import {
  Connection,
  Consumer,
  describeConfigsV4,
  listOffsetsV7,
  metadataV12,
  ResponseError,
  type SASLOptions,
  UserError,
} from '@platformatic/kafka';
import { findAccessFault } from '../../connectors/kafka-access.ts';
import { EnrichError } from '../error.ts';
import { backOffMs } from './back-off.ts';
import { balancedAssigner } from './balanced-assigner.ts';
import type { GroupMember, Log, LogReader, TopicDescription } from './log.ts';
import { KafkaLogReader } from './log-reader.ts';
import type { BrokerLink, Cluster, OffsetBounds, TopicRoute } from './log-reader.ts';
import { AUTHORIZATION_FAILED, fromClientError, unavailable } from './platformatic-fault.ts';
import { ConsumerGroupMember } from './platformatic-group.ts';
import { FetchLink, whenRenewed } from './platformatic-link.ts';
import { loadCrc32c } from './wire/crc32c.ts';

export type PlatformaticLogOptions = {
  /** Bootstrap brokers as `host:port`. */
  brokers: readonly string[];
  clientId: string;
  /** Options of `tls.connect`; `{}` for TLS with the system's certificates, absent for plain text. */
  tls?: TlsOptions;
  sasl?: Pick<SASLOptions, 'mechanism' | 'username' | 'password' | 'token'>;
  /** In [0, 1): spreads the retries. */
  random: () => number;
  /** Told about each fault that is ridden out: lost connections, leader changes, missed heartbeats. */
  onFault: (fault: EnrichError) => void;
  /** How often a group member looks for new partitions; default 30 s. */
  partitionCheckMs?: number;
  /** Most that a reader asks of one partition in one fetch; default 1 MiB. */
  partitionBytesMax?: number;
  /** Most that one batch may expand to; default 64 MiB, twice the largest batch that brokers take. */
  decompressedBytesMax?: number;
};

export interface PlatformaticLog extends Log {
  /** `wasm` means slower checksums than the native module: worth one line in the log. */
  readonly crc32cImplementation: 'native' | 'wasm';
}

const CONNECT_MS_MAX = 5000;
const REQUEST_MS_MAX = 30_000;
const SESSION_MS_MAX = 30_000;
const REBALANCE_MS_MAX = 30_000;
const HEARTBEAT_INTERVAL_MS = 1000;
const PARTITION_CHECK_MS = 30_000;
const BOUNDS_TRIES_MAX = 5;

const CLEANUP_KEYS = ['cleanup.policy', 'delete.retention.ms'];
const TOPIC_RESOURCE = 2;

const UNKNOWN_TOPIC_OR_PARTITION = 3;
const LEADER_NOT_AVAILABLE = 5;

const READ_COMMITTED = 1;
const READ_UNCOMMITTED = 0;
const EARLIEST = -2n;
const LATEST = -1n;

type MetadataResponse = ReturnType<typeof metadataV12.parseResponse>;
type ListOffsetsTopics = Parameters<typeof listOffsetsV7.createRequest>[2];

type Address = { host: string; port: number };

/**
 * Opens the log over @platformatic/kafka. Its connections, membership, TLS and SASL are used; its record
 * parser is not, because it makes an object for each record, checks no CRC and lets records of aborted
 * transactions through. Fetch responses are walked by `wire/` instead.
 *
 * Resolves once a broker has answered. Errors: `unavailable` if none does, `config` if the certificate or the
 * user is refused, the listener wants TLS, or the brokers are older than Kafka 3.1.
 */
export async function openPlatformaticLog(
  options: PlatformaticLogOptions,
): Promise<PlatformaticLog> {
  const log = new ClusterLog(options);
  try {
    await log.routes([]);
  } catch (error) {
    await log.close();
    const fault = findAccessFault(error);
    if (fault?.kind !== 'no-answer') throw error;
    throw unavailable(`${(error as Error).message.replace(/\.$/, '')}; ${fault.remedy}`, error);
  }
  return log;
}

class ClusterLog implements PlatformaticLog, Cluster {
  readonly #options: PlatformaticLogOptions;
  readonly #crc32c = loadCrc32c();
  readonly #bootstrap: readonly Address[];
  /** Short requests only, so that no long poll stands in their way. */
  readonly #control = new Map<string, Connection>();
  #brokers: ReadonlyMap<number, Address> = new Map();
  readonly #topicIds = new Map<string, string>();
  readonly #readers = new Set<LogReader>();
  readonly #members = new Set<GroupMember>();

  constructor(options: PlatformaticLogOptions) {
    this.#options = options;
    this.#bootstrap = options.brokers.map(parseAddress);
  }

  get crc32cImplementation(): 'native' | 'wasm' {
    return this.#crc32c.implementation;
  }

  async describeTopic(topic: string): Promise<TopicDescription | undefined> {
    const { clusterId, topics } = await this.#metadata([topic]);
    const found = topics.find(({ name }) => name === topic);
    if (found === undefined || found.errorCode === UNKNOWN_TOPIC_OR_PARTITION) return undefined;
    checkTopicError(topic, found.errorCode);
    const { topicId, partitions } = found;
    this.#topicIds.set(topic, topicId);
    return { topic, topicId, clusterId: clusterId ?? '', partitionCount: partitions.length };
  }

  async deleteRetentionMs(topic: string): Promise<number | undefined> {
    try {
      const response = await this.#ask((connection) =>
        describeConfigsV4.api.async(connection, [
          { resourceType: TOPIC_RESOURCE, resourceName: topic, configurationKeys: CLEANUP_KEYS },
        ]),
      );
      return deleteRetentionOf(response.results[0]?.configs ?? []);
    } catch (error) {
      // Whoever may read a topic need not be allowed to see its settings.
      if (error instanceof EnrichError && error.kind === 'config') return undefined;
      throw error;
    }
  }

  async bounds(topic: string): Promise<ReadonlyMap<number, OffsetBounds>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#bounds(topic, READ_COMMITTED);
      } catch (error) {
        const passing = error instanceof EnrichError && error.kind === 'unavailable';
        if (!passing || attempt === BOUNDS_TRIES_MAX) throw error;
        this.#options.onFault(error);
        await sleep(backOffMs(attempt, this.#options.random));
      }
    }
  }

  async openReader(): Promise<LogReader> {
    const { random, onFault } = this.#options;
    const reader: LogReader = new KafkaLogReader({
      cluster: this,
      crc32c: this.#crc32c.sum,
      decompressedBytesMax: this.#options.decompressedBytesMax ?? 64 * 2 ** 20,
      partitionBytesMax: this.#options.partitionBytesMax ?? 2 ** 20,
      random,
      onFault,
      onClosed: () => this.#readers.delete(reader),
      knownTopicId: (topic) => this.#topicIds.get(topic),
    });
    this.#readers.add(reader);
    return reader;
  }

  async joinGroup(options: {
    groupId: string;
    topic: string;
    clientId: string;
    instanceId?: string;
  }): Promise<GroupMember> {
    const { brokers, random, onFault } = this.#options;
    const { instanceId } = options;
    const consumer = new Consumer({
      clientId: options.clientId,
      groupId: options.groupId,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      bootstrapBrokers: [...brokers],
      ...security(this.#options, this.#bootstrap),
      protocols: [{ name: 'cooperative-sticky', version: 1 }],
      partitionAssigner: balancedAssigner,
      autocommit: false,
      sessionTimeout: SESSION_MS_MAX,
      rebalanceTimeout: REBALANCE_MS_MAX,
      heartbeatInterval: HEARTBEAT_INTERVAL_MS,
      connectTimeout: CONNECT_MS_MAX,
      // The coordinator may hold a join for the whole rebalance.
      requestTimeout: REBALANCE_MS_MAX + 10_000,
      retryDelay: (_client, _operation, attempt) => backOffMs(attempt, random),
    });
    const member: GroupMember & { join(): Promise<void> } = new ConsumerGroupMember(consumer, {
      topic: options.topic,
      partitionCheckMs: this.#options.partitionCheckMs ?? PARTITION_CHECK_MS,
      random,
      onFault,
      onLeft: () => this.#members.delete(member),
    });
    try {
      await member.join();
    } catch (error) {
      await member.leave();
      throw error;
    }
    this.#members.add(member);
    return member;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.leave()));
    await Promise.all([...this.#readers].map((reader) => reader.close()));
    await Promise.all([...this.#control.values()].map((connection) => connection.close()));
  }

  async routes(topics: readonly string[]): Promise<ReadonlyMap<string, TopicRoute>> {
    const routes = new Map<string, TopicRoute>();
    for (const found of (await this.#metadata(topics)).topics) {
      if (typeof found.name !== 'string') continue;
      if (found.errorCode === UNKNOWN_TOPIC_OR_PARTITION) continue;
      checkTopicError(found.name, found.errorCode);
      const leaders: (number | undefined)[] = [];
      for (const { partitionIndex, leaderId } of found.partitions) {
        leaders[partitionIndex] = leaderId < 0 ? undefined : leaderId;
      }
      routes.set(found.name, { topicId: found.topicId, leaders });
    }
    return routes;
  }

  async logBounds(topic: string, partition: number): Promise<OffsetBounds> {
    const bounds = (await this.#bounds(topic, READ_UNCOMMITTED)).get(partition);
    if (bounds === undefined) throw unavailable(`${topic}-${partition} does not exist`);
    return bounds;
  }

  openLink(brokerId: number): BrokerLink {
    return new FetchLink(() => this.#connect(this.#brokerAddress(brokerId)));
  }

  async #bounds(topic: string, isolation: number): Promise<ReadonlyMap<number, OffsetBounds>> {
    const route = (await this.routes([topic])).get(topic);
    if (route === undefined) {
      throw new EnrichError('config', `topic ${topic} does not exist; create it first`, {
        context: { topic },
      });
    }
    const byLeader = new Map<number, number[]>();
    for (const [partition, leader] of route.leaders.entries()) {
      if (leader === undefined) throw unavailable(`${topic}-${partition} has no leader`);
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition]);
    }
    const bounds = new Map<number, OffsetBounds>();
    for (const [leader, partitions] of byLeader) {
      const list = (timestamp: bigint) =>
        this.#listOffsets(leader, isolation, { topic, partitions, timestamp });
      const ends = await list(LATEST);
      for (const [partition, startOffset] of await list(EARLIEST)) {
        bounds.set(partition, { startOffset, endOffset: ends.get(partition) ?? startOffset });
      }
    }
    return bounds;
  }

  async #listOffsets(
    leader: number,
    isolation: number,
    asked: { topic: string; partitions: readonly number[]; timestamp: bigint },
  ): Promise<ReadonlyMap<number, bigint>> {
    const { timestamp } = asked;
    const topics: ListOffsetsTopics = [
      {
        name: asked.topic,
        partitions: asked.partitions.map((partitionIndex) => ({
          partitionIndex,
          currentLeaderEpoch: -1,
          timestamp,
        })),
      },
    ];
    const response = await this.#call(this.#brokerAddress(leader), (connection) =>
      listOffsetsV7.api.async(connection, -1, isolation, topics),
    );
    return new Map(
      response.topics.flatMap((answer) =>
        answer.partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset] as const),
      ),
    );
  }

  /** Errors of topics do not throw. */
  async #metadata(topics: readonly string[]): Promise<MetadataResponse> {
    const response = await this.#ask((connection) => requestMetadata(connection, topics));
    this.#brokers = new Map(response.brokers.map((broker) => [broker.nodeId, broker]));
    return response;
  }

  /** Asks the known brokers, then the bootstrap ones, until one answers. */
  async #ask<T>(request: (connection: Connection) => Promise<T>): Promise<T> {
    let failure: unknown;
    for (const address of [...this.#brokers.values(), ...this.#bootstrap]) {
      try {
        return await this.#call(address, request);
      } catch (error) {
        failure = error;
        if (error instanceof EnrichError && error.kind === 'config') throw error;
      }
    }
    throw failure;
  }

  #brokerAddress(brokerId: number): Address {
    const address = this.#brokers.get(brokerId);
    if (address === undefined) throw unavailable(`broker ${brokerId} is not in the cluster`);
    return address;
  }

  async #call<T>(address: Address, request: (connection: Connection) => Promise<T>): Promise<T> {
    const name = addressName(address);
    let connection = this.#control.get(name);
    try {
      if (connection !== undefined) await whenRenewed(connection);
      if (connection?.isConnected() !== true) {
        connection = await this.#connect(address);
        this.#control.set(name, connection);
      }
      return await request(connection);
    } catch (error) {
      if (!(error instanceof ResponseError)) this.#control.delete(name);
      if (!(error instanceof ResponseError)) void connection?.close();
      // The client's word for an answer that is a TLS record.
      if (this.#options.tls === undefined && error instanceof UserError) {
        const wish = 'the listener speaks TLS; set `tls: true` in kafka';
        throw new EnrichError('config', `broker ${name}: ${wish}`, { cause: error });
      }
      throw fromClientError(`broker ${name}`, error);
    }
  }

  async #connect(address: Address): Promise<Connection> {
    const connection = new Connection(this.#options.clientId, {
      connectTimeout: CONNECT_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      ...security(this.#options, [address]),
    });
    // Each request in flight fails by itself; an unheard 'error' event would end the process.
    connection.on('error', () => {});
    try {
      await connection.connect(address.host, address.port);
      return connection;
    } catch (error) {
      throw fromClientError(`broker ${addressName(address)}`, error);
    }
  }
}

/** TLS tells the server which host is meant, as listeners behind one address need it; an IP address is no such name. */
function security({ tls, sasl }: PlatformaticLogOptions, brokers: readonly Address[]) {
  const tlsServerName = brokers.every(({ host }) => isIP(host) === 0);
  return {
    ...(tls === undefined ? {} : { tls, tlsServerName }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

function deleteRetentionOf(
  settings: readonly { name: string; value?: string | null | undefined }[],
): number | undefined {
  const valueOf = (wanted: string): string | null | undefined =>
    settings.find(({ name }) => name === wanted)?.value;
  if (valueOf('cleanup.policy')?.includes('compact') === false) return Number.POSITIVE_INFINITY;
  const text = valueOf('delete.retention.ms');
  return text === null || text === undefined ? undefined : Number(text);
}

async function requestMetadata(
  connection: Connection,
  topics: readonly string[],
): Promise<MetadataResponse> {
  try {
    return await metadataV12.api.async(connection, [...topics], false, false);
  } catch (error) {
    // The client throws if any topic has an error; the answer for the others comes along.
    if (error instanceof ResponseError) return error['response'] as MetadataResponse;
    throw error;
  }
}

function parseAddress(broker: string): Address {
  const match = /^\[?(?<host>[^\]]+?)\]?:(?<port>\d{1,5})$/.exec(broker);
  const { host, port } = match?.groups ?? {};
  if (host === undefined || port === undefined) {
    throw new EnrichError('config', `kafka.brokers: '${broker}' is not of the form host:port`);
  }
  return { host, port: Number(port) };
}

function addressName({ host, port }: Address): string {
  return `${host}:${port}`;
}

function checkTopicError(topic: string, errorCode: number): void {
  if (errorCode === 0 || errorCode === LEADER_NOT_AVAILABLE) return;
  if (AUTHORIZATION_FAILED.includes(errorCode)) {
    throw new EnrichError('config', `the Kafka user may not describe topic ${topic}`, {
      context: { topic, errorCode },
    });
  }
  throw unavailable(`topic ${topic}: the broker answered error ${errorCode}`);
}
