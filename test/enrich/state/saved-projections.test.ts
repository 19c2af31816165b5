import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { ProjectionImages } from '../../../enrich/state/dimension-image.ts';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { openState } from '../../../enrich/state/open-state.ts';
import { projectionFilesIn } from '../../../enrich/state/projection-files.ts';
import type { ProjectionFiles } from '../../../enrich/state/projection-files.ts';
import { Crash, crashingAfter, openMemoryFiles } from './crashing-state.ts';
import { remove, upsert, urls, users } from './state-fixture.ts';
import { answersOf, positioned, source } from './state-model.ts';

/** Keys that a journal may name before the image is renewed. */
const KEYS_MAX = 15;

type Line = { level: string; message: string; error?: unknown };

let store: KeyValueStore;
let files: ReturnType<typeof openMemoryFiles>;
let lines: Line[];
let nowMs: number;
let ids: number;
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tributary-saved-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(() => {
  store = openMemoryStore();
  files = openMemoryFiles();
  lines = [];
  nowMs = 0;
  ids = 0;
});

function tell(
  level: string,
): (message: string, fields?: Readonly<Record<string, unknown>>) => void {
  return (message, fields) => void lines.push({ level, message, error: fields?.['error'] });
}

function images(): Omit<ProjectionImages, 'files'> {
  return {
    clock: { elapsedMs: () => nowMs, newId: () => `image-${ids++}` },
    logger: { info: tell('info'), warn: tell('warn'), error: tell('error') },
    journalKeysMax: KEYS_MAX,
  };
}

function open(
  definition: DimensionDefinition = users,
  on: { store: KeyValueStore; files: ProjectionFiles } = { store, files },
): Promise<DimensionState> {
  const { store: kept } = on;
  const withFiles = { ...images(), files: on.files };
  return openDimensionState({ store: kept, dimensions: [definition], images: withFiles });
}

const user = (at: number, key: number) =>
  upsert(at, { user_id: BigInt(key), name: `name ${at}`, score: null });

async function take(state: DimensionState, from: number, to: number): Promise<void> {
  const changes = positioned(
    Array.from({ length: to }, (_, i) =>
      i % 7 === 3 ? remove(i, { user_id: BigInt(i % 20) }) : user(i, i % 20),
    ),
  ).slice(from);
  await state.apply('users', { ...source, nextOffset: BigInt(to) }, changes);
}

const ids20 = Array.from({ length: 20 }, (_, key) => BigInt(key));
const answers = (state: DimensionState) => answersOf(state, users, ids20);
const messages = (level: string) =>
  lines.filter((line) => line.level === level).map(({ message }) => message);
const READ = 'projection read from its file';
const UNUSABLE = 'a saved projection cannot be used: all rows of the dimension are read';

async function checkContent(state: DimensionState): Promise<void> {
  const clock = {
    elapsedMs: () => 0,
    nowMs: () => 0,
    random: () => 0,
    newId: () => '',
    sleep: async () => {},
  };
  await state.checkContent({
    clock,
    logger: images().logger,
    signal: new AbortController().signal,
  });
}

/** A state with an image and changes after it. */
async function saved(): Promise<Map<unknown, unknown>> {
  const state = await open();
  await take(state, 0, 60);
  await state.saveProjections('ready');
  await take(state, 60, 75);
  return answers(state);
}

async function journalKeys(): Promise<number> {
  let count = 0;
  for await (const _ of store.scan({ from: Buffer.from('j'), to: Buffer.from('k') })) count += 1;
  return count;
}

const url = (at: number, id: number) =>
  upsert(at, { url_id: BigInt(id), url: `https://${id}/`, title: `${at}` });

async function* pieces(fail: boolean) {
  yield new Uint8Array(new SharedArrayBuffer(70_000)).fill(7);
  if (fail) throw new Error('no more');
  yield Uint8Array.of(1, 2, 3);
}

describe('a projection that was saved', () => {
  it('is opened from its file, with what has changed since', async () => {
    const expected = await saved();
    const state = await open();
    expect(messages('info')).toContain(READ);
    expect(answers(state)).toEqual(expected);
    await checkContent(state);
    expect(messages('info')).toContain('the rows of the state are complete');
  });

  it('opens right when the process is killed between any two steps of saving', async () => {
    let crashes = 0;
    for (let steps = 0; steps < 12; steps++) {
      store = openMemoryStore();
      files = openMemoryFiles();
      const expected = await saved();
      const crashing = crashingAfter(steps, { store, files });
      const dying = await open(users, crashing);
      const death = await (async () => {
        await dying.saveProjections('ready');
        await take(dying, 75, 76);
        await dying.saveProjections('stop');
      })().catch((error: unknown) => error);
      if (death instanceof Crash) crashes += 1;
      else if (death !== undefined) throw death;
      lines = [];
      const state = await open();
      expect(messages('info')).toContain(READ);
      await take(state, 75, 76);
      expect([...answers(state).keys()]).toEqual([...expected.keys()]);
      expect((answers(state).get(15n) as { name: string }).name).toBe('name 75');
      expect(files.files.size).toBe(1);
      await checkContent(state);
    }
    expect(crashes).toBeGreaterThan(3);
  });

  it('is not used when any byte of its file is another, or its end is missing', async () => {
    const expected = await saved();
    const [name = '', sound = new Uint8Array()] = [...files.files][0] ?? [];
    const damages = [
      ...Array.from({ length: 120 }, (_, i) => {
        const damaged = new Uint8Array(sound);
        const at = i < 60 ? i * 5 : Math.floor((i / 120) * sound.length);
        damaged[at] = (damaged[at] ?? 0) ^ 1;
        return damaged;
      }),
      sound.subarray(0, -1),
      sound.subarray(0, 10),
      new Uint8Array(),
      new Uint8Array(Buffer.concat([sound, new Uint8Array(4)])),
    ];
    const entries: { key: Uint8Array; value: Uint8Array }[] = [];
    for await (const entry of store.scan({ from: new Uint8Array(), to: Uint8Array.of(255) })) {
      entries.push(entry);
    }
    for (const damaged of damages) {
      store = openMemoryStore();
      await store.applyBatch(entries);
      files.files.clear();
      files.files.set(name, damaged);
      lines = [];
      const state = await open();
      expect(messages('warn')).toEqual([UNUSABLE]);
      expect(answers(state)).toEqual(expected);
      // Nothing is left of what is no use.
      expect([files.files.size, await journalKeys()]).toEqual([0, 0]);
    }
  });

  it('is not used when its file is missing, of another state or of another version', async () => {
    const expected = await saved();
    const [name = '', bytes = new Uint8Array()] = [...files.files][0] ?? [];
    const other = { store: openMemoryStore(), files: openMemoryFiles() };
    ids = 0;
    const elsewhere = await open({ ...users, columns: users.columns.toReversed() }, other);
    await elsewhere.saveProjections('ready');
    const foreign = other.files.files.get(name);
    expect(foreign).toBeDefined();
    const older = Buffer.from(bytes);
    older.writeUInt32LE(0, 8);
    const reasons: string[] = [];
    for (const file of [undefined, foreign, older]) {
      files.files.clear();
      if (file !== undefined) files.files.set(name, file);
      const copy = openMemoryStore();
      for await (const entry of store.scan({ from: new Uint8Array(), to: Uint8Array.of(255) })) {
        await copy.applyBatch([entry]);
      }
      lines = [];
      expect(answers(await open(users, { store: copy, files }))).toEqual(expected);
      reasons.push(...lines.map(({ error }) => (error as Error | undefined)?.message ?? ''));
    }
    expect(reasons).toEqual([
      'the file is missing',
      'it is of something else',
      'it is of version 0, not 3',
    ]);
  });

  it('is not used once a column was added, and is saved with it when that is loaded', async () => {
    await saved();
    const wider = {
      ...users,
      columns: [...users.columns, { name: 'note', type: 'string' as const }],
    };
    const state = await open(wider);
    expect(messages('info')).not.toContain(READ);
    expect(state.position('users')?.next.size).toBe(0);
    await state.saveProjections('ready');
    await open(wider);
    expect(messages('info')).toContain(READ);
    expect(files.files.size).toBe(1);
  });

  it('is made anew once more has changed since than is read again at a start', async () => {
    const state = await open();
    await take(state, 0, 20);
    await state.saveProjections('ready');
    await take(state, 20, 20 + KEYS_MAX);
    expect([ids, await journalKeys()]).toEqual([1, 1]);
    await take(state, 20 + KEYS_MAX, 21 + KEYS_MAX);
    expect([ids, await journalKeys(), files.files.size]).toEqual([2, 0, 1]);
    const expected = answers(state);
    expect(answers(await open())).toEqual(expected);
    expect(messages('info')).toContain(READ);
  });

  it('is not renewed sooner after another one than twenty times what that took', async () => {
    const slow: ProjectionFiles = {
      ...files,
      write: async (name, image) => {
        nowMs += 3_000;
        await files.write(name, image);
      },
    };
    const state = await open(users, { store, files: slow });
    await take(state, 0, 20);
    await state.saveProjections('ready');
    const saves: number[] = [];
    for (const [round, atMs] of [3_000, 62_999, 63_000, 66_000, 126_000].entries()) {
      nowMs = atMs;
      await take(state, 20 * (round + 1), 20 * (round + 2));
      saves.push(ids);
    }
    expect(saves).toEqual([1, 1, 2, 2, 3]);
  });

  // INVARIANTS.md 12
  it.each([20, 400])(
    'is given up once its journal is longer than a start may read: of %i rows',
    async (rows) => {
      const grow = async (state: DimensionState, from: number, to: number): Promise<void> => {
        const changes = positioned(Array.from({ length: to }, (_, i) => user(i, i % rows)));
        await state.apply('users', { ...source, nextOffset: BigInt(to) }, changes.slice(from));
      };
      const all = Array.from({ length: rows }, (_, key) => BigInt(key));
      const loading = await open();
      await grow(loading, 0, rows);
      await loading.saveProjections('ready');
      // It catches up: no image is renewed before that is over.
      const state = await open();
      const journals: number[] = [];
      for (let at = rows; at < rows + 8 * KEYS_MAX; at += KEYS_MAX) {
        await grow(state, at, at + KEYS_MAX);
        journals.push(await journalKeys());
      }
      expect(journals).toEqual([1, 2, 3, 4, 5, 5, 5, 5]);
      const expected = answersOf(state, users, all);
      expect(answersOf(await open(), users, all)).toEqual(expected);
      expect([files.files.size, await journalKeys()]).toEqual([0, 0]);
    },
  );

  it('is not used where its journal is longer than a start may read', async () => {
    const loading = await open();
    await take(loading, 0, 20);
    await loading.saveProjections('ready');
    const state = await open();
    await take(state, 20, 20 + 4 * KEYS_MAX);
    await take(state, 20 + 4 * KEYS_MAX, 40 + 4 * KEYS_MAX);
    await take(state, 40 + 4 * KEYS_MAX, 60 + 4 * KEYS_MAX);
    await take(state, 60 + 4 * KEYS_MAX, 80 + 4 * KEYS_MAX);
    const expected = answers(state);
    lines = [];
    expect(answers(await open())).toEqual(expected);
    expect(messages('warn')).toEqual([UNUSABLE]);
    expect([files.files.size, await journalKeys()]).toEqual([0, 0]);
  });

  it('tells that the state is at work, at each of its pieces', async () => {
    let told = 0;
    const withFiles = { ...images(), files };
    const state = await openDimensionState({
      store,
      dimensions: [users],
      images: withFiles,
      onProgress: () => (told += 1),
    });
    await take(state, 0, 20);
    expect(told).toBe(0);
    await state.saveProjections('ready');
    expect(told).toBeGreaterThan(2);
  });

  it('that cannot be written is told, costs no more than that, and is tried again later', async () => {
    let isFull = true;
    const full: ProjectionFiles = {
      ...files,
      write: (name, image) =>
        isFull ? Promise.reject(new Error('no space left on device')) : files.write(name, image),
    };
    const state = await open(users, { store, files: full });
    await state.saveProjections('ready');
    await take(state, 0, 5);
    await take(state, 5, 10);
    expect(messages('warn')).toEqual([
      'a projection cannot be saved: the next start reads all rows of the dimension',
    ]);
    isFull = false;
    nowMs += 600_000;
    await take(state, 10, 15);
    expect(files.files.size).toBe(1);
  });
});

describe('a first load', () => {
  it('pays for no journal, and a stop before it is complete saves nothing', async () => {
    const state = await open();
    await take(state, 0, 30);
    await state.saveProjections('stop');
    expect([files.files.size, await journalKeys()]).toEqual([0, 0]);
  });
});

async function hole(key: Buffer): Promise<void> {
  await store.applyBatch([{ key, value: undefined }]);
}

function rowKey(key: number): Buffer {
  return Buffer.concat([Buffer.from('r\x05users\x01'), Buffer.from([0x80, 0, 0, 0, 0, 0, 0, key])]);
}

// INVARIANTS.md 7
describe('a state with holes under a projection that is whole', () => {
  it('is noticed by the check that follows, whatever has changed meanwhile', async () => {
    await saved();
    await hole(rowKey(17));
    const state = await open();
    expect(messages('info')).toContain(READ);
    await take(state, 75, 80);
    await expect(checkContent(state)).rejects.toMatchObject({ kind: 'rebuild' });
  });

  it('is noticed at once where the row has changed since the projection was saved', async () => {
    await saved();
    await hole(rowKey(14));
    await expect(open()).rejects.toMatchObject({ kind: 'rebuild' });
    expect(messages('warn')).toEqual([UNUSABLE]);
  });

  it('is noticed where an entry of the index or of the journal is missing', async () => {
    const state = await open(urls);
    await state.apply('urls', { ...source, nextOffset: 1n }, positioned([url(0, 0), url(1, 1)]));
    await state.saveProjections('ready');
    await state.apply('urls', { ...source, nextOffset: 2n }, positioned([url(10, 1), url(11, 2)]));
    const entries: Buffer[] = [];
    for await (const { key } of store.scan({ from: Buffer.from('i'), to: Buffer.from('k') })) {
      entries.push(Buffer.from(key));
    }
    expect(entries).toHaveLength(4);
    const outcomes: string[] = [];
    for (const key of entries) {
      const [value] = await store.getMany([key]);
      await hole(key);
      lines = [];
      const opened = await open(urls).catch((error: unknown) => error as Error);
      const check =
        'kind' in opened
          ? opened
          : await checkContent(opened as DimensionState).catch((error: unknown) => error);
      outcomes.push(
        `${String(messages('info').includes(READ))} ${String((check as { kind?: string } | undefined)?.kind)}`,
      );
      await store.applyBatch([{ key, value }]);
    }
    expect(outcomes).toEqual(['true rebuild', 'false rebuild', 'false rebuild', 'false undefined']);
  });
});

describe('projection files in a directory', () => {
  it('replace nothing before they are whole, and are read as they were written', async () => {
    const directory = await mkdtemp(join(root, 'files-'));
    const kept = projectionFilesIn(directory);
    await kept.write('one', pieces(false));
    await expect(kept.write('two', pieces(true))).rejects.toThrow('no more');
    await writeFile(join(directory, 'three.projection.unfinished'), 'half');
    await writeFile(join(directory, 'notes.txt'), 'not ours');
    expect([...(await kept.list())].toSorted()).toEqual(['one', 'three']);
    await kept.remove('three');
    await kept.remove('three');
    expect([...(await readdir(directory))].toSorted()).toEqual(['notes.txt', 'one.projection']);
    const file = await kept.open('one');
    expect(file?.size).toBe(70_003);
    const target = new Uint8Array(new SharedArrayBuffer(4));
    await file?.read(target, 69_999);
    expect([...target]).toEqual([7, 1, 2, 3]);
    await expect(file?.read(target, 70_000)).rejects.toThrow('the file ends at 70003');
    await file?.close();
    expect(await kept.open('four')).toBeUndefined();
  });

  it('open the state of a process that was killed, beside its store', async () => {
    const directory = join(root, 'killed');
    const options = { directory, dimensions: [users], nowMs: 0, images: images() };
    const first = await openState(options);
    await take(first.state, 0, 60);
    await first.state.saveProjections('ready');
    await take(first.state, 60, 75);
    const expected = answers(first.state);
    await first.close();
    await writeFile(join(directory, 'stale.projection'), 'of nobody');
    const second = await openState(options);
    expect(messages('info')).toContain(READ);
    expect(answers(second.state)).toEqual(expected);
    await checkContent(second.state);
    await second.close();
    const saves = (await readdir(directory)).filter((name) => name.includes('projection'));
    expect(saves).toEqual(['image-0.projection']);
    const bytes = await readFile(join(directory, 'image-0.projection'));
    bytes[bytes.length - 9] = (bytes.at(-9) ?? 0) ^ 1;
    await writeFile(join(directory, 'image-0.projection'), bytes);
    const third = await openState(options);
    expect(messages('warn')).toEqual([UNUSABLE]);
    expect(answers(third.state)).toEqual(expected);
    expect(third.rebuilt).toBeUndefined();
    await third.close();
  });
});
