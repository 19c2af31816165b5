import {
  apiVersionsV3,
  type Connection,
  ConnectionStatuses,
  createAPI,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  type Reader,
} from '@platformatic/kafka';
import { EnrichError } from '../error.ts';
import type { BrokerLink, FetchRequest } from './log-reader.ts';
import { fromClientError, unavailable } from './platformatic-fault.ts';
import { parseFetchResponse, type FetchResponse } from './wire/fetch-response.ts';

/** A long poll must end well before its request times out. */
const FETCH_WAIT_MS_MAX = 20_000;
const FETCH_API_KEY = 1;
const READ_COMMITTED = 1;

type FetchArguments = Parameters<typeof fetchV17.createRequest>;

/** Fetch by topic id exists from version 13 (Kafka 3.1) on; the newest that the broker knows is used. */
const FETCH_REQUESTS = new Map([
  [13, fetchV13.createRequest],
  [14, fetchV14.createRequest],
  [15, fetchV15.createRequest],
  [16, fetchV16.createRequest],
  [17, fetchV17.createRequest],
]);

/** One connection for fetches, opened at the first; its responses share one buffer. */
export class FetchLink implements BrokerLink {
  readonly #connect: () => Promise<Connection>;
  #opened: Promise<{ connection: Connection; version: number }> | undefined;
  #buffer = Buffer.alloc(0);
  #closed = false;

  constructor(connect: () => Promise<Connection>) {
    this.#connect = connect;
  }

  async fetch(request: FetchRequest): Promise<FetchResponse> {
    this.#opened ??= this.#open();
    const { connection, version } = await this.#opened;
    const createRequest = FETCH_REQUESTS.get(version) ?? fetchV17.createRequest;
    const api = createAPI<FetchArguments, FetchResponse>(
      FETCH_API_KEY,
      version,
      createRequest,
      (_correlationId, _key, _version, reader) => parseFetchResponse(this.#copyBody(reader)),
    );
    const waitMs = Math.min(request.waitMsMax, FETCH_WAIT_MS_MAX);
    const fetchArguments: FetchArguments = [
      waitMs,
      1,
      request.bytesMax,
      READ_COMMITTED,
      0,
      -1,
      fetchTopics(request),
      [],
      '',
    ];
    try {
      await whenRenewed(connection);
      return await api.async(connection, ...fetchArguments);
    } catch (error) {
      throw fromClientError('fetch', error);
    }
  }

  close(): void {
    this.#closed = true;
    void this.#opened?.then(({ connection }) => connection.close()).catch(() => {});
  }

  async #open(): Promise<{ connection: Connection; version: number }> {
    const connection = await this.#connect();
    try {
      if (this.#closed) throw unavailable('the connection was closed while it opened');
      return { connection, version: await newestFetchVersion(connection) };
    } catch (error) {
      void connection.close();
      throw fromClientError('fetch', error);
    }
  }

  /** Copies the socket's chunks into a buffer that is reused: no megabytes of garbage for a response. */
  #copyBody(reader: Reader): Uint8Array {
    const { buffers, length } = reader.buffer;
    if (this.#buffer.length < length) {
      this.#buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(length)));
    }
    let at = 0;
    for (const chunk of buffers) {
      this.#buffer.set(chunk, at);
      at += chunk.length;
    }
    return this.#buffer.subarray(0, length);
  }
}

/** Waits while the client renews the session of the user: the broker refuses all other requests in that moment. */
export async function whenRenewed(connection: Connection): Promise<void> {
  if (connection.status === ConnectionStatuses.REAUTHENTICATING) await connection.ready();
}

/** Groups by topic; a topic stands where its first partition stood, so that the order stays fair. */
function fetchTopics(request: FetchRequest): FetchArguments[6] {
  const topics = new Map<string, FetchArguments[6][number]>();
  for (const { topicId, partition, nextOffset, bytesMax } of request.partitions) {
    const topic = topics.get(topicId) ?? { topicId, partitions: [] };
    topics.set(topicId, topic);
    topic.partitions.push({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: nextOffset,
      lastFetchedEpoch: -1,
      partitionMaxBytes: bytesMax,
    });
  }
  return [...topics.values()];
}

async function newestFetchVersion(connection: Connection): Promise<number> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, 'tributary', '1');
  const range = apiKeys.find(({ apiKey }) => apiKey === FETCH_API_KEY);
  const version = Math.min(range?.maxVersion ?? 0, 17);
  if (!FETCH_REQUESTS.has(version)) {
    throw new EnrichError(
      'config',
      'the broker cannot fetch by topic id; Kafka 3.1 or newer is needed',
    );
  }
  return version;
}
