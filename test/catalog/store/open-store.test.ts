import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../../../catalog/store/open-store.ts';

const s3 = { region: 'us-east-1', endpoint: 'http://127.0.0.1:1', attemptsMax: 1 };

test('a file location is served from the file system', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'open-store-'));
  const { store, close } = openStore(`file://${folder}`, { s3 });
  await store.put(`file://${folder}/object`, new Uint8Array(5));
  expect(await store.size(`file://${folder}/object`)).toBe(5);
  close();
  await rm(folder, { recursive: true });
});

test.each(['s3', 's3a'])('an %s location is asked of the S3 endpoint', async (scheme) => {
  const { store, close } = openStore(`${scheme}://lake/x`, {
    s3: { ...s3, accessKeyId: 'a', secretAccessKey: 'b' },
  });
  await expect(store.get(`${scheme}://lake/x`)).rejects.toMatchObject({ kind: 'unavailable' });
  close();
});

test.each(['gs://bucket/x', 'plain/path', ''])('%o has no store', (location) => {
  expect(() => openStore(location, { s3 })).toThrow(expect.objectContaining({ kind: 'config' }));
});
