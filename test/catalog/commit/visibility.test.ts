import { expect, test } from 'vitest';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { createAppendBench, liveLocations } from './append-bench.ts';

// INVARIANTS.md 10
test('a file that was written is no part of the table until a commit names it', async () => {
  const bench = await createAppendBench();
  const { dataFiles, ...rest } = bench.options('c1', { start: 0, end: 10 });
  for (const { location } of dataFiles) await bench.store.put(location, new Uint8Array(1));
  expect(await liveLocations(bench)).toEqual([]);

  await commitAppend({ dataFiles, ...rest });
  expect(await liveLocations(bench)).toEqual(dataFiles.map(({ location }) => location));
});

// INVARIANTS.md 10
test('the files of an append that was dropped stay invisible, and are not deleted', async () => {
  const bench = await createAppendBench();
  await commitAppend(bench.options('c1', { start: 0, end: 10 }));
  const zombie = bench.options('c2', { start: 0, end: 20 });
  for (const { location } of zombie.dataFiles) await bench.store.put(location, new Uint8Array(1));
  const before = await liveLocations(bench);

  expect((await commitAppend(zombie)).kind).toBe('dropped');
  expect(await liveLocations(bench)).toEqual(before);
  expect(bench.deleted).toEqual([]);
});
