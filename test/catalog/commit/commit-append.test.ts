import { describe, expect, test } from 'vitest';
import type {
  AppendOptions,
  AppendOutcome,
  AppendVerdict,
} from '../../../catalog/commit/append.ts';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { scanDataFiles } from '../../../catalog/commit/scan.ts';
import { CatalogError } from '../../../catalog/error.ts';
import type { Catalog } from '../../../catalog/rest/catalog.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import {
  createAppendBench,
  createTable,
  dataFileOf,
  landedRanges,
  recordSteps,
  locations,
  liveRows,
  errorOf,
  kindOf,
  failingSends,
  loadsFailing,
  staleOnce,
  foreignAppend,
  IDENTIFIER,
} from './append-bench.ts';

const FIRST = { start: 0, end: 10 };
const SECOND = { start: 10, end: 25 };

describe('200', () => {
  test('one request carries the snapshot, the move of main and the properties', async () => {
    const bench = await createAppendBench();
    const outcome = await commitAppend(bench.options('c1', FIRST));

    const metadata = await bench.load();
    expect(outcome).toMatchObject({ kind: 'committed', attempts: 1 });
    expect(bench.sent).toHaveLength(1);
    expect(metadata.snapshots).toHaveLength(1);
    expect(metadata.properties).toMatchObject({ 't.position': '10', 't.commit-id': 'c1' });
    expect(metadata.snapshots[0]).toMatchObject({
      snapshotId: metadata.refs['main']?.snapshotId,
      sequenceNumber: 1n,
      schemaId: 0,
      summary: {
        operation: 'append',
        't.range': '0-10',
        'added-data-files': '1',
        'added-records': '10',
        'added-files-size': '1000',
        'changed-partition-count': '1',
        'total-data-files': '1',
        'total-records': '10',
        'total-files-size': '1000',
        'total-delete-files': '0',
        'total-position-deletes': '0',
        'total-equality-deletes': '0',
      },
    });
    expect(JSON.parse(bench.sent[0] ?? '')).toMatchObject({
      requirements: [
        { type: 'assert-table-uuid', uuid: metadata.tableUuid },
        { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null },
      ],
    });
  });

  test('the next append carries on the manifests, the totals and the sequence', async () => {
    const bench = await createAppendBench();
    await commitAppend(bench.options('c1', FIRST));
    bench.clock.now -= 5_000;
    await commitAppend(bench.options('c2', SECOND));

    const metadata = await bench.load();
    const [first, second] = metadata.snapshots;
    expect(second).toMatchObject({
      parentSnapshotId: first?.snapshotId,
      sequenceNumber: 2n,
      timestampMs: first?.timestampMs,
      summary: { 'added-records': '15', 'total-records': '25', 'total-data-files': '2' },
    });
    expect(await liveRows(bench)).toBe(25n);
  });

  test('where our clock is wrong, the snapshot has the time that the catalog has when it is staged', async () => {
    const bench = await createAppendBench();
    const options = bench.options('c1', FIRST);
    // A monotonic clock counts fractions; catalogs take whole ms.
    let fraction = 0;
    const clock = {
      ...options.clock,
      nowMs: () => bench.clock.now - 3_600_000,
      elapsedMs: () => options.clock.elapsedMs() + (fraction += 0.125),
    };
    const decide = (metadata: TableMetadata): AppendVerdict => {
      bench.clock.now += 300_000;
      return options.decide(metadata);
    };
    await commitAppend({ ...options, clock, decide });
    const [snapshot] = (await bench.load()).snapshots;
    expect(snapshot?.timestampMs).toBe(bench.clock.now);
  });

  test('an append without files is a snapshot without a manifest of its own', async () => {
    const bench = await createAppendBench();
    await commitAppend(bench.options('c1', FIRST));
    const before = await locations(bench);
    await commitAppend(bench.options('c2', SECOND, { dataFiles: [] }));

    const metadata = await bench.load();
    const added = (await locations(bench)).filter((location) => !before.includes(location));
    expect(added).toEqual([metadata.snapshots[1]?.manifestList]);
    expect(metadata.snapshots[1]?.summary).toMatchObject({
      'added-data-files': '0',
      'changed-partition-count': '0',
      'total-records': '10',
    });
    expect(metadata.properties['t.position']).toBe('25');
    expect(await liveRows(bench)).toBe(10n);
  });

  test('objects are named after the commit and lie in the configured metadata folder', async () => {
    const bench = await createAppendBench({ 'write.metadata.path': 'memory://meta/clicks/' });
    await commitAppend(bench.options('c1', FIRST));
    const id = (await bench.load()).currentSnapshotId;
    expect(await locations(bench)).toEqual([
      expect.stringMatching(/^memory:\/\/meta\/clicks\/c1-[0-9a-f]+-m0\.avro$/),
      `memory://meta/clicks/snap-${id}-1-c1.avro`,
    ]);
  });

  test('files of two partition specs get a manifest each', async () => {
    const bench = await createAppendBench();
    const table = await bench.load();
    const twoSpecs: Catalog = {
      ...bench.catalog,
      loadTable: async () => ({
        metadata: {
          ...table,
          partitionSpecs: [...table.partitionSpecs, { specId: 1, fields: [] }],
        },
        metadataLocation: undefined,
        config: {},
      }),
    };
    const dataFiles = [
      dataFileOf({ start: 0, end: 4 }),
      { ...dataFileOf({ start: 4, end: 10 }), specId: 1, partitionTuple: [] },
    ];
    await commitAppend(bench.options('c1', FIRST, { catalog: twoSpecs, dataFiles }));
    const specIds: number[] = [];
    for await (const file of scanDataFiles({ store: bench.store, metadata: await bench.load() })) {
      specIds.push(file.dataFile.specId);
    }
    expect(specIds).toEqual([0, 1]);
  });
});

describe('409', () => {
  test('another commit in between that keeps the range contiguous leads to a rebase', async () => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    bench.faults = ['conflict'];
    bench.onSleep = async () => {
      bench.onSleep = undefined;
      await foreignAppend(bench, 'other');
    };
    const outcome = await commitAppend(bench.options('c1', FIRST, { onEvent }));

    const metadata = await bench.load();
    expect(outcome).toMatchObject({ kind: 'committed', attempts: 2 });
    expect(steps).toEqual(['conflict', 'rebase']);
    expect(landedRanges(metadata)).toEqual(['-', '0-10']);
    expect(await liveRows(bench)).toBe(10n + 3n);
    const lists = (await locations(bench)).filter((location) => location.endsWith('-c1.avro'));
    expect(lists).toHaveLength(2);
    const manifests = (await locations(bench)).filter((location) => /c1-\w+-m\d/.test(location));
    expect(manifests).toHaveLength(1);
  });

  test('another commit that took the range drops the append', async () => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    const stale = { ...bench.catalog, loadTable: staleOnce(bench, await bench.load()) };
    await commitAppend(bench.options('rival', FIRST));
    const outcome = await commitAppend(bench.options('c1', FIRST, { catalog: stale, onEvent }));

    expect(outcome).toMatchObject({
      kind: 'dropped',
      reason: 'the table is at 10, the range starts at 0',
    });
    expect(steps).toEqual(['conflict', 'dropped']);
    expect(landedRanges(await bench.load())).toEqual(['0-10']);
  });

  test('a conflict with our own commit, which something below had sent twice, has landed', async () => {
    const bench = await createAppendBench();
    bench.faults = ['apply-twice'];
    const outcome = await commitAppend(bench.options('c1', FIRST));
    expect(outcome).toMatchObject({ kind: 'landed', attempts: 1 });
    expect(bench.sent).toHaveLength(1);
    expect(landedRanges(await bench.load())).toEqual(['0-10']);
  });

  test('our own commit under a later one of others is found by its snapshot', async () => {
    const bench = await createAppendBench();
    bench.faults = ['apply-twice'];
    bench.onSleep = async () => {
      bench.onSleep = undefined;
      await foreignAppend(bench, 'other');
    };
    const outcome = await commitAppend(bench.options('c1', FIRST, { decide: acceptOnlyFirst }));
    expect(outcome.kind).toBe('landed');
  });

  test('the races are bounded, and the last refusal is looked into as well', async () => {
    const bench = await createAppendBench();
    bench.faults = Array<'conflict'>(5).fill('conflict');
    expect(await kindOf(commitAppend(bench.options('c1', FIRST)))).toBe('conflict');
    expect(bench.sent).toHaveLength(5);

    bench.faults = [...Array<'conflict'>(4).fill('conflict'), 'apply-twice'];
    expect((await commitAppend(bench.options('c1', FIRST))).kind).toBe('landed');
  });

  test('each attempt waits longer, within the bound', async () => {
    const bench = await createAppendBench();
    bench.faults = Array<'conflict'>(5).fill('conflict');
    const limits = { attemptsMax: 5, unknownWaitMsMax: 1, backoffMsMax: 150 };
    await errorOf(commitAppend(bench.options('c1', FIRST, { limits })));
    const ceilings = [50, 100, 150, 150, 150];
    expect(bench.clock.sleptMs).toHaveLength(ceilings.length);
    for (const [i, ms] of bench.clock.sleptMs.entries()) {
      expect(ms).toBeGreaterThanOrEqual((ceilings[i] ?? 0) / 2);
      expect(ms).toBeLessThanOrEqual(ceilings[i] ?? 0);
    }
  });

  test('a refusal after which the table cannot be read is an unknown outcome', async () => {
    const bench = await createAppendBench();
    bench.faults = ['conflict'];
    const catalog = loadsFailing(bench.catalog, () => bench.sent.length > 0);
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { catalog })))).toBe(
      'commit-unknown',
    );
  });
});

describe('401, 403, 404', () => {
  test('unauthorized: the identical request once more', async () => {
    const bench = await createAppendBench();
    const catalog = failingSends(bench.catalog, ['unauthorized']);
    const outcome = await commitAppend(bench.options('c1', FIRST, { catalog }));
    expect(outcome).toMatchObject({ kind: 'committed', attempts: 1 });
  });

  test.each([
    ['unauthorized', ['unauthorized', 'unauthorized']],
    ['config', ['config']],
    ['fenced', ['fenced']],
  ] as const)('%s is passed on', async (kind, failures) => {
    const bench = await createAppendBench();
    const catalog = failingSends(bench.catalog, failures);
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { catalog })))).toBe(kind);
    expect(bench.sent).toHaveLength(0);
  });

  test('a table that is gone at the start or at the sending is fenced', async () => {
    const bench = await createAppendBench();
    const options = bench.options('c1', FIRST);
    const decide: AppendOptions['decide'] = (metadata) => {
      void bench.catalog.dropTable(IDENTIFIER);
      return options.decide(metadata);
    };
    expect(await kindOf(commitAppend({ ...options, decide }))).toBe('fenced');
    expect(bench.sent).toHaveLength(1);
    expect(await kindOf(commitAppend(options))).toBe('fenced');
    expect(bench.sent).toHaveLength(1);
  });

  test('a table recreated under the same name is fenced, also while an outcome is unknown', async () => {
    const bench = await createAppendBench();
    bench.faults = ['delay'];
    bench.onSleep = async () => {
      bench.onSleep = undefined;
      await bench.catalog.dropTable(IDENTIFIER);
      await createTable(bench);
    };
    expect(await kindOf(commitAppend(bench.options('c1', FIRST)))).toBe('fenced');
    expect(bench.catalog.deliverDelayed()).toBe(0);
    expect((await bench.load()).snapshots).toEqual([]);
  });

  test('a partition spec that the table lost is fenced before anything is written', async () => {
    const bench = await createAppendBench();
    const dataFiles = [{ ...dataFileOf(FIRST), specId: 7 }];
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { dataFiles })))).toBe('fenced');
    expect(await locations(bench)).toEqual([]);
  });

  test('a table of another format version is a matter of configuration', async () => {
    const bench = await createAppendBench();
    const metadata = { ...(await bench.load()), formatVersion: 3 };
    const loadTable = async () => ({ metadata, metadataLocation: undefined, config: {} });
    const catalog = { ...bench.catalog, loadTable };
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { catalog })))).toBe('config');
  });
});

describe('whatever happens', () => {
  test('nothing is deleted and no object is overwritten', async () => {
    const bench = await createAppendBench();
    const seen = new Map<string, string>();
    const store = {
      ...bench.store,
      put: async (...[location, bytes, options]: Parameters<typeof bench.store.put>) => {
        await bench.store.put(location, bytes, options);
        expect(seen.has(location)).toBe(false);
        seen.set(location, Buffer.from(bytes).toString('hex'));
      },
    };
    bench.faults = ['conflict', 'delay', 'fail', 'conflict', 'fail', 'apply-then-fail'];
    const limits = { attemptsMax: 2, unknownWaitMsMax: 60, backoffMsMax: 60 };
    const outcomes: (AppendOutcome | undefined)[] = [];
    for (let call = 0; call < 4; call += 1) {
      const options = bench.options('c1', FIRST, { store, limits });
      outcomes.push(await commitAppend(options).catch(() => undefined));
    }
    expect(outcomes.at(-1)?.kind).toBe('landed');
    expect(bench.deleted).toEqual([]);
    for (const [location, hex] of seen) {
      expect(Buffer.from(await bench.store.get(location)).toString('hex')).toBe(hex);
    }
  });

  test('a store that is away for a moment is waited for, one that stays away is reported', async () => {
    const bench = await createAppendBench();
    let failures = 3;
    const store = {
      ...bench.store,
      put: async (...args: Parameters<typeof bench.store.put>) => {
        failures -= 1;
        if (failures >= 0) throw new CatalogError('unavailable', 'injected');
        await bench.store.put(...args);
      },
    };
    expect((await commitAppend(bench.options('c1', FIRST, { store }))).kind).toBe('committed');
    failures = 100;
    expect(await kindOf(commitAppend(bench.options('c2', SECOND, { store })))).toBe('unavailable');
  });

  test('aborted before sending: the reason; while the outcome is unknown: commit-unknown', async () => {
    const bench = await createAppendBench();
    const reason = new Error('partition revoked');
    const before = AbortSignal.abort(reason);
    expect(await errorOf(commitAppend(bench.options('c1', FIRST, { signal: before })))).toBe(
      reason,
    );
    expect(bench.sent).toHaveLength(0);

    const controller = new AbortController();
    const { signal } = controller;
    bench.faults = ['fail'];
    const onEvent = (): void => controller.abort(reason);
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { signal, onEvent })))).toBe(
      'commit-unknown',
    );
    expect(bench.sent).toHaveLength(1);
  });
});

/** A rule that does not know its own commits. */
function acceptOnlyFirst(metadata: TableMetadata): AppendVerdict {
  return metadata.snapshots.length === 0
    ? { kind: 'append', summary: { 't.range': '0-10' }, properties: {} }
    : { kind: 'drop', reason: 'the table is not empty' };
}
