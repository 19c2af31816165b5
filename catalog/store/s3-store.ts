import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { CatalogError, type CatalogErrorKind } from '../error.ts';
import type { ObjectStore } from './object-store.ts';

/** Where the store is and how hard to try; everything but the region has a default. */
export type S3StoreOptions = {
  region: string;
  /** Absent for AWS itself. */
  endpoint?: string;
  /** `http://host/bucket/key` instead of `http://bucket.host/key`. */
  pathStyle?: boolean;
  /** Both absent: the SDK's own chain of environment, profile and instance role. */
  accessKeyId?: string;
  secretAccessKey?: string;
  maxSockets?: number;
  /** How often a request is sent in all; a put with `ifAbsent` is always sent once. */
  attemptsMax?: number;
  /** For one attempt, from the first byte to the last. */
  requestTimeoutMsMax?: number;
  /** Keys in one page of a listing; S3 allows 1,000 at most. */
  listPageKeysMax?: number;
};

/** An object store with the lifetime of its connections. */
export interface S3Store extends ObjectStore {
  /** Creates a bucket unless we own it already: for development, production buckets are given. */
  ensureBucket(bucket: string): Promise<void>;
  /** Closes the idle connections; the store is not usable any more. */
  close(): void;
}

const CONNECT_TIMEOUT_MS_MAX = 5_000;

type Clients = {
  client: S3Client;
  /**
   * For conditional puts: a retry could be refused because of its own first attempt, and the caller
   * would take its own object for another's.
   */
  sendOnceClient: S3Client;
  listPageKeysMax: number;
};

/**
 * Objects in S3 or a store that speaks its protocol. Locations are `s3://bucket/key` (or `s3a://`),
 * the key as it is, without URL encoding. One object is written by one request, so it holds at most
 * 5 GiB. Conditional puts rest on `If-None-Match: *`: the store must honour it.
 * Errors: as `ObjectStore` documents them; after `unavailable` the outcome of a put is open.
 * Source: Amazon S3 API reference, "Conditional writes", "ListObjectsV2".
 */
export function openS3Store(options: S3StoreOptions): S3Store {
  const client = new S3Client(clientConfig(options));
  const clients: Clients = {
    client,
    sendOnceClient: new S3Client({
      ...clientConfig(options),
      maxAttempts: 1,
      requestHandler: client.config.requestHandler,
    }),
    listPageKeysMax: options.listPageKeysMax ?? 1000,
  };
  return {
    put: (location, bytes, { ifAbsent = false } = {}) =>
      put(clients, { location, bytes, ifAbsent }),
    get: (location) => read(client, location),
    getRange: (location, start, end) => readRange(client, { location, start, end }),
    size: (location) => size(client, location),
    list: (prefix) => list(clients, prefix),
    async delete(location) {
      await guarded(location, () => client.send(new DeleteObjectCommand(addressOf(location))));
    },
    ensureBucket: (bucket) => ensureBucket(client, bucket),
    close() {
      client.destroy();
    },
  };
}

function clientConfig(options: S3StoreOptions): S3ClientConfig {
  const { accessKeyId, secretAccessKey, endpoint } = options;
  const agent = { keepAlive: true, maxSockets: options.maxSockets ?? 32 };
  return {
    region: options.region,
    forcePathStyle: options.pathStyle ?? false,
    maxAttempts: options.attemptsMax ?? 4,
    // Stores other than AWS refuse or mix up the checksums that the SDK adds by default.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS_MAX,
      requestTimeout: options.requestTimeoutMsMax ?? 120_000,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  };
}

async function put(
  clients: Clients,
  object: { location: string; bytes: Uint8Array; ifAbsent: boolean },
): Promise<void> {
  const { location, bytes, ifAbsent } = object;
  const client = ifAbsent ? clients.sendOnceClient : clients.client;
  const command = new PutObjectCommand({
    ...addressOf(location),
    Body: bytes,
    ContentLength: bytes.byteLength,
    ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
  });
  await guarded(location, () => client.send(command));
}

async function read(client: S3Client, location: string, range?: string): Promise<Uint8Array> {
  return guarded(location, async () => {
    const answer = await client.send(
      new GetObjectCommand({
        ...addressOf(location),
        ...(range === undefined ? {} : { Range: range }),
      }),
    );
    return (await answer.Body?.transformToByteArray()) ?? new Uint8Array();
  });
}

async function readRange(
  client: S3Client,
  { location, start, end }: { location: string; start: number; end: number },
): Promise<Uint8Array> {
  if (start === end) return new Uint8Array();
  const bytes = await read(client, location, `bytes=${start}-${end - 1}`);
  if (bytes.byteLength !== end - start) throw beyondTheEnd(location, start, end);
  return bytes;
}

async function size(client: S3Client, location: string): Promise<number | undefined> {
  try {
    const head = await client.send(new HeadObjectCommand(addressOf(location)));
    return head.ContentLength ?? 0;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw failureOf(error, location);
  }
}

async function* list(clients: Clients, prefix: string): ReturnType<ObjectStore['list']> {
  const { scheme, Bucket, Key } = addressParts(prefix);
  let token: string | undefined;
  do {
    const command = new ListObjectsV2Command({
      Bucket,
      Prefix: Key,
      MaxKeys: clients.listPageKeysMax,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await guarded(prefix, () => clients.client.send(command));
    for (const object of page.Contents ?? []) {
      yield {
        location: `${scheme}://${Bucket}/${object.Key ?? ''}`,
        sizeBytes: object.Size ?? 0,
        modifiedMs: object.LastModified?.getTime() ?? 0,
      };
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

async function ensureBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  } catch (error) {
    if (error instanceof Error && error.name === 'BucketAlreadyOwnedByYou') return;
    throw failureOf(error, `s3://${bucket}`);
  }
}

const LOCATION = /^(s3a?):\/\/([^/]+)\/(.*)$/s;

function addressParts(location: string): { scheme: string; Bucket: string; Key: string } {
  const match = LOCATION.exec(location);
  if (match === null) {
    throw new CatalogError('config', `not a location in S3 (s3://bucket/key): ${location}`);
  }
  const [, scheme = '', Bucket = '', Key = ''] = match;
  return { scheme, Bucket, Key };
}

function addressOf(location: string): { Bucket: string; Key: string } {
  const { Bucket, Key } = addressParts(location);
  return { Bucket, Key };
}

async function guarded<T>(location: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw failureOf(error, location);
  }
}

function failureOf(error: unknown, location: string): CatalogError {
  if (error instanceof CatalogError) return error;
  const name = error instanceof Error ? error.name : 'unknown error';
  const message = error instanceof Error ? error.message : String(error);
  const status = statusOf(error);
  return new CatalogError(kindOf(name, status), `${location}: ${name}: ${message}`, {
    context: { location, ...(status === undefined ? {} : { status }) },
    cause: error,
  });
}

/**
 * Codes of what passes though its status does not say so. A clock that is wrong is one: the SDK takes the server's
 * time from the answer, but gives up the requests that were under way beside the first to be refused.
 */
const PASSING: ReadonlySet<string> = new Set([
  'ConditionalRequestConflict',
  'OperationAborted',
  'RequestTimeTooSkewed',
  'RequestExpired',
]);

/** The SDK's error names are the codes of the S3 API; without a status nothing was answered. */
function kindOf(name: string, status: number | undefined): CatalogErrorKind {
  if (name === 'CredentialsProviderError') return 'config';
  if (status === undefined) return 'unavailable';
  if (name === 'NoSuchBucket') return 'config';
  if (PASSING.has(name)) return 'unavailable';
  switch (status) {
    case 404:
    case 416:
      return 'corrupt';
    case 412:
      return 'conflict';
    case 408:
    case 429:
      return 'unavailable';
    default:
      return status >= 500 ? 'unavailable' : 'config';
  }
}

function statusOf(error: unknown): number | undefined {
  const metadata =
    error instanceof Error && '$metadata' in error
      ? (error.$metadata as { httpStatusCode?: number } | undefined)
      : undefined;
  return metadata?.httpStatusCode;
}

function beyondTheEnd(location: string, start: number, end: number): CatalogError {
  return new CatalogError('corrupt', `${location}: bytes ${start} to ${end} are beyond its end`, {
    context: { location },
  });
}
