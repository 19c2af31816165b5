import { afterAll, describe, expect, test } from 'vitest';
import { openS3Store, type S3StoreOptions } from '../../../catalog/store/s3-store.ts';
import { endpoints } from '../../stack/endpoints.ts';
import { describeStore } from './store-contract.ts';

const options: S3StoreOptions = {
  endpoint: endpoints.s3Endpoint,
  region: 'us-east-1',
  pathStyle: true,
  accessKeyId: endpoints.s3AccessKeyId,
  secretAccessKey: endpoints.s3SecretAccessKey,
  listPageKeysMax: 4,
};

const store = openS3Store(options);

afterAll(() => {
  store.close();
});

describeStore('the S3 store', async () => {
  await store.ensureBucket('lake');
  return { store, root: `s3://lake/store-contract-${Date.now()}/` };
});

describe('the S3 store', () => {
  test('a wrong secret is an error of configuration', async () => {
    const denied = openS3Store({ ...options, secretAccessKey: 'wrong' });
    await expect(denied.get('s3://lake/anything')).rejects.toMatchObject({ kind: 'config' });
    denied.close();
  });

  test('a missing bucket is an error of configuration', async () => {
    const location = 's3://no-such-bucket-here/key';
    await expect(store.put(location, new Uint8Array(1))).rejects.toMatchObject({ kind: 'config' });
    await expect(store.get(location)).rejects.toMatchObject({ kind: 'config' });
  });

  test('ensuring a bucket that exists changes nothing', async () => {
    await expect(store.ensureBucket('lake')).resolves.toBeUndefined();
  });

  test('a server that is down is unavailable after a bounded number of attempts', async () => {
    const down = openS3Store({ ...options, endpoint: 'http://127.0.0.1:1', attemptsMax: 2 });
    await expect(down.get('s3://lake/anything')).rejects.toMatchObject({ kind: 'unavailable' });
    down.close();
  });
});
