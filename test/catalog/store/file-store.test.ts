import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFileStore } from '../../../catalog/store/file-store.ts';
import { describeStore } from './store-contract.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-store-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describeStore('the file store', async () => ({
  store: openFileStore(),
  root: `file://${folder}/contract/`,
}));

describe('the file store', () => {
  test('leaves no unfinished file behind, also after a conflict', async () => {
    const store = openFileStore();
    const location = `file://${folder}/tidy/object`;
    await store.put(location, new Uint8Array(3), { ifAbsent: true });
    await expect(store.put(location, new Uint8Array(3), { ifAbsent: true })).rejects.toMatchObject({
      kind: 'conflict',
    });
    expect(await readdir(join(folder, 'tidy'))).toEqual(['object']);
  });

  test('does not list what a dead process left unfinished', async () => {
    const store = openFileStore();
    await store.put(`file://${folder}/crash/whole`, new Uint8Array(3));
    const leftover = '.unfinished-6f9619ff-8b86-4d01-b42d-00cf4fc964ff';
    await writeFile(join(folder, 'crash', leftover), 'half');
    const found: string[] = [];
    for await (const object of store.list(`file://${folder}/crash/`)) found.push(object.location);
    expect(found).toEqual([`file://${folder}/crash/whole`]);
  });

  test.each(['s3://bucket/key', 'file://relative/path', '/plain/path'])(
    'refuses a location that is not a file URI with an absolute path: %s',
    async (location) => {
      await expect(openFileStore().get(location)).rejects.toMatchObject({ kind: 'config' });
    },
  );
});
