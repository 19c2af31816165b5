import { afterEach, describe, expect, test } from 'vitest';
import { openS3Store, type S3Store } from '../../../catalog/store/s3-store.ts';
import { startServer, type LocalServer, type Reply } from '../rest/local-server.ts';

const bytes = new TextEncoder().encode('0123456789');
const stores: S3Store[] = [];
const servers: LocalServer[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) store.close();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A store whose server answers with these in turn, and with 200 from then on. */
async function storeOn(replies: Reply[]): Promise<{ store: S3Store; server: LocalServer }> {
  const server = await startServer(() => replies.shift() ?? { status: 200 });
  const store = openS3Store({
    endpoint: server.uri,
    region: 'us-east-1',
    pathStyle: true,
    accessKeyId: 'key',
    secretAccessKey: 'secret',
    attemptsMax: 3,
    requestTimeoutMsMax: 200,
  });
  stores.push(store);
  servers.push(server);
  return { store, server };
}

const code = (name: string): string => `<Error><Code>${name}</Code><Message>m</Message></Error>`;

describe('the S3 store', () => {
  test('sends the bytes once each, path style, without checksums that other stores mix up', async () => {
    const { store, server } = await storeOn([]);
    await store.put('s3://lake/a b/c', bytes);
    expect(server.received).toHaveLength(1);
    expect(server.received[0]).toMatchObject({
      method: 'PUT',
      path: '/lake/a%20b/c?x-id=PutObject',
    });
    expect(server.received[0]?.body).toEqual(Buffer.from(bytes));
    expect(server.received[0]?.headers).not.toHaveProperty('x-amz-checksum-crc32');
    expect(server.received[0]?.headers).not.toHaveProperty('if-none-match');
  });

  test('repeats a plain put that the server could not do, within its bound', async () => {
    const once = await storeOn([{ status: 503 }]);
    await once.store.put('s3://lake/key', bytes);
    expect(once.server.received).toHaveLength(2);

    const always = await storeOn(Array.from({ length: 9 }, () => ({ status: 503 })));
    await expect(always.store.put('s3://lake/key', bytes)).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(always.server.received).toHaveLength(3);
  });

  test.each<Reply>([{ status: 503 }, { status: 500 }, 'reset', 'hang'])(
    'sends a conditional put once, so that it never meets itself: %o',
    async (reply) => {
      const { store, server } = await storeOn([reply]);
      await expect(store.put('s3://lake/key', bytes, { ifAbsent: true })).rejects.toMatchObject({
        kind: 'unavailable',
      });
      expect(server.received).toHaveLength(1);
      expect(server.received[0]?.headers['if-none-match']).toBe('*');
    },
  );

  test.each([
    [412, 'PreconditionFailed', 'conflict'],
    [409, 'ConditionalRequestConflict', 'unavailable'],
    [403, 'RequestTimeTooSkewed', 'unavailable'],
    [403, 'AccessDenied', 'config'],
    [403, 'SignatureDoesNotMatch', 'config'],
    [404, 'NoSuchBucket', 'config'],
    [400, 'InvalidRequest', 'config'],
  ] as const)('a conditional put answered %i %s is %s', async (status, name, kind) => {
    const { store } = await storeOn([{ status, body: code(name) }]);
    await expect(store.put('s3://lake/key', bytes, { ifAbsent: true })).rejects.toMatchObject({
      kind,
      message: expect.stringContaining('s3://lake/key'),
    });
  });

  test('a server that ignores the range is caught: the bytes would be the wrong ones', async () => {
    const { store } = await storeOn([{ status: 200, body: '0123456789' }]);
    await expect(store.getRange('s3://lake/key', 2, 4)).rejects.toMatchObject({ kind: 'corrupt' });
  });

  test('a size that may not be asked for is an error, not a missing object', async () => {
    const { store } = await storeOn([{ status: 403 }, { status: 404 }]);
    await expect(store.size('s3://lake/key')).rejects.toMatchObject({ kind: 'config' });
    expect(await store.size('s3://lake/key')).toBeUndefined();
  });

  test.each(['file:///x', 's3:/lake/key', 's3://lake', 'lake/key'])(
    '%s is not a location in S3',
    async (location) => {
      const { store, server } = await storeOn([]);
      await expect(store.get(location)).rejects.toMatchObject({ kind: 'config' });
      expect(server.received).toHaveLength(0);
    },
  );
});
