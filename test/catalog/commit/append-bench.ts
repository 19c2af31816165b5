import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { scanDataFiles } from '../../../catalog/commit/scan.ts';
import { CatalogError } from '../../../catalog/error.ts';
import type { CatalogErrorKind } from '../../../catalog/error.ts';
import type { AppendEvent, AppendOptions, AppendVerdict } from '../../../catalog/commit/append.ts';
import type { DataFile } from '../../../catalog/manifest/data-file.ts';
import { createMemoryCatalog } from '../../../catalog/memory/memory-catalog.ts';
import type { CommitFault, MemoryCatalog } from '../../../catalog/memory/memory-catalog.ts';
import { createMemoryStore } from '../../../catalog/memory/memory-store.ts';
import { stringifyJson } from '../../../catalog/rest/json.ts';
import type { Catalog, TableIdentifier } from '../../../catalog/rest/catalog.ts';
import { commitTableToWire } from '../../../catalog/spec/commit-json.ts';
import { ancestors } from '../../../catalog/spec/snapshot-walk.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import type { ObjectStore } from '../../../catalog/store/object-store.ts';

export const IDENTIFIER: TableIdentifier = { namespace: ['shop'], name: 'clicks' };
const START_MS = 1_800_000_000_000;

/** [start, end) of the one partition that these tests know. */
export type Range = { start: number; end: number };

/** A table in memory, a clock that only sleeping moves, and a record of all that was sent and deleted. */
export type AppendBench = {
  catalog: MemoryCatalog;
  store: ObjectStore;
  /** The bytes of every sending, in order. */
  sent: string[];
  deleted: string[];
  /** Taken from the front, one for each sending; `apply` when empty. */
  faults: CommitFault[];
  clock: { now: number; sleptMs: number[] };
  /** Called at each sleep: where other writers act in between. */
  onSleep: (() => void | Promise<void>) | undefined;
  load(): Promise<TableMetadata>;
  options(commitId: string, range: Range, rest?: Partial<AppendOptions>): AppendOptions;
};

export async function createAppendBench(
  properties: Record<string, string> = {},
): Promise<AppendBench> {
  const sent: string[] = [];
  const deleted: string[] = [];
  const clock = { now: START_MS, sleptMs: [] as number[] };
  let uuids = 0;
  const memory = createMemoryStore();
  const store: ObjectStore = {
    ...memory,
    delete: async (location) => {
      deleted.push(location);
      await memory.delete(location);
    },
  };
  const bench: AppendBench = {
    catalog: createMemoryCatalog({
      clock: { nowMs: () => clock.now },
      uuid: () => `00000000-0000-4000-8000-00000000000${(uuids += 1)}`,
      onCommit: (request) => {
        sent.push(stringifyJson(commitTableToWire(request)));
        return bench.faults.shift() ?? 'apply';
      },
    }),
    store,
    sent,
    deleted,
    faults: [],
    clock,
    onSleep: undefined,
    load: async () => {
      const loaded = await bench.catalog.loadTable(IDENTIFIER);
      if (loaded === undefined) throw new Error('the table is missing');
      return loaded.metadata;
    },
    options: (commitId, range, rest = {}) => appendOptions(bench, commitId, range, rest),
  };
  await createTable(bench, properties);
  return bench;
}

export async function createTable(
  bench: AppendBench,
  properties: Record<string, string> = {},
): Promise<void> {
  await bench.catalog.ensureNamespace(IDENTIFIER.namespace);
  await bench.catalog.createTable({
    identifier: IDENTIFIER,
    schema: {
      schemaId: 0,
      fields: [
        { id: 1, name: 'event_time', required: true, type: 'timestamptz' },
        { id: 2, name: 'url', required: false, type: 'string' },
      ],
    },
    partitionSpec: {
      specId: 0,
      fields: [{ sourceId: 1, fieldId: 1000, name: 'event_time_day', transform: 'day' }],
    },
    sortOrder: { orderId: 0, fields: [] },
    properties,
  });
}

let randomState = 1;

/** Deterministic and different at each call. */
function nextRandom(): number {
  randomState = (Math.imul(randomState, 1664525) + 1013904223) >>> 0;
  return randomState / 2 ** 32;
}

function appendOptions(
  bench: AppendBench,
  commitId: string,
  range: Range,
  rest: Partial<AppendOptions>,
): AppendOptions {
  return {
    catalog: bench.catalog,
    store: bench.store,
    identifier: IDENTIFIER,
    tableUuid: '00000000-0000-4000-8000-000000000001',
    commitId,
    dataFiles: [dataFileOf(range)],
    decide: (metadata) => judgeRange(metadata, commitId, range),
    clock: {
      nowMs: () => bench.clock.now,
      elapsedMs: () => bench.clock.now,
      sleep: async (ms) => {
        bench.clock.now += ms;
        bench.clock.sleptMs.push(ms);
        await bench.onSleep?.();
      },
      random: nextRandom,
    },
    limits: { attemptsMax: 5, unknownWaitMsMax: 10_000, backoffMsMax: 1_000 },
    ...rest,
  };
}

/** An acceptance rule of the simplest kind: a range lands where the table's position is its start. */
function judgeRange(metadata: TableMetadata, commitId: string, range: Range): AppendVerdict {
  for (const snapshot of ancestors(metadata)) {
    if (snapshot.summary['t.commit-id'] === commitId) return { kind: 'landed' };
  }
  const position = Number(metadata.properties['t.position'] ?? '0');
  if (position !== range.start) {
    return {
      kind: 'drop',
      reason: `the table is at ${position}, the range starts at ${range.start}`,
    };
  }
  const state = { 't.commit-id': commitId, 't.position': String(range.end) };
  return {
    kind: 'append',
    summary: { ...state, 't.range': `${range.start}-${range.end}` },
    properties: state,
  };
}

/** A file that claims one row for each position of the range. */
export function dataFileOf(range: Range, day = 20_833): DataFile {
  return {
    location: `memory://lake/shop/clicks/data/${range.start}-${range.end}-${day}.parquet`,
    format: 'PARQUET',
    specId: 0,
    partitionTuple: [day],
    recordCount: BigInt(range.end - range.start),
    fileSizeBytes: 1000n,
    columnSizes: new Map([[1, 500n]]),
    valueCounts: new Map([[1, BigInt(range.end - range.start)]]),
    nullValueCounts: new Map([[1, 0n]]),
    nanValueCounts: new Map(),
    lowerBounds: new Map([[1, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)]]),
    upperBounds: new Map([[1, Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0)]]),
    splitOffsets: [4n],
    sortOrderId: 0,
  };
}

/** The ranges of the snapshots from the oldest to the head. */
export function landedRanges(metadata: TableMetadata): string[] {
  return [...ancestors(metadata)]
    .map((snapshot) => snapshot.summary['t.range'] ?? '-')
    .toReversed();
}

/** Locations of the data files that the table's head names. */
export async function liveLocations(bench: AppendBench): Promise<string[]> {
  const live: string[] = [];
  for await (const { dataFile } of scanDataFiles({
    store: bench.store,
    metadata: await bench.load(),
  })) {
    live.push(dataFile.location);
  }
  return live;
}

/** Steps told, in order. */
export function recordSteps(): {
  steps: AppendEvent['step'][];
  onEvent: (event: AppendEvent) => void;
} {
  const steps: AppendEvent['step'][] = [];
  return { steps, onEvent: (event) => steps.push(event.step) };
}

export async function locations(bench: AppendBench): Promise<string[]> {
  const found: string[] = [];
  for await (const object of bench.store.list('')) found.push(object.location);
  return found;
}

export async function liveRows(bench: AppendBench): Promise<bigint> {
  let rows = 0n;
  const metadata = await bench.load();
  for await (const file of scanDataFiles({ store: bench.store, metadata })) {
    rows += file.dataFile.recordCount;
  }
  return rows;
}

export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error: unknown) => error,
  );
}

export async function kindOf(promise: Promise<unknown>): Promise<string> {
  const error = await errorOf(promise);
  return error instanceof CatalogError ? error.kind : String(error);
}

/** The catalog, with the given error thrown instead of the nth (from 0) sendings, before they arrive. */
export function failingSends(
  catalog: Catalog,
  failures: readonly (CatalogErrorKind | Error | undefined)[],
): Catalog {
  let sends = 0;
  return {
    ...catalog,
    prepareCommit: (request) => {
      const prepared = catalog.prepareCommit(request);
      return {
        send: async () => {
          const failure = failures[sends];
          sends += 1;
          if (failure === undefined) return prepared.send();
          throw failure instanceof Error ? failure : new CatalogError(failure, 'injected');
        },
      };
    },
  };
}

export function loadsFailing(catalog: Catalog, isFailing: () => boolean): Catalog {
  return {
    ...catalog,
    loadTable: async (identifier) => {
      if (isFailing()) throw new CatalogError('unavailable', 'injected');
      return catalog.loadTable(identifier);
    },
  };
}

/** Answers the first load with an old state, as a cache would. */
export function staleOnce(
  bench: AppendBench,
  metadata: Awaited<ReturnType<AppendBench['load']>>,
): Catalog['loadTable'] {
  let isStale = true;
  return async (identifier) => {
    if (!isStale) return bench.catalog.loadTable(identifier);
    isStale = false;
    return { metadata, metadataLocation: undefined, config: {} };
  };
}

/** A commit by a writer that knows nothing of positions, 3 rows. */
export async function foreignAppend(bench: AppendBench, commitId: string): Promise<void> {
  await commitAppend(
    bench.options(
      commitId,
      { start: 1000, end: 1003 },
      {
        decide: () => ({ kind: 'append', summary: {}, properties: {} }),
      },
    ),
  );
}
