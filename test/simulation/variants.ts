/** In a file of the product, a text that occurs once, and what stands in its place. */
export type Edit = { file: string; find: string; put: string };

/** The product with one of its promises broken, and the invariants that must notice. */
export type Variant = { name: string; breaks: string; edits: readonly Edit[] };

const STAGE = 'catalog/commit/stage-append.ts';
const COMMIT = 'catalog/commit/commit-append.ts';
const ACCEPTANCE = 'enrich/core/acceptance.ts';
const POSITION = 'enrich/core/position.ts';
const FLUSH = 'enrich/pipeline/flush.ts';
const PLAN = 'enrich/pipeline/plan-table.ts';
const EVOLUTION = 'enrich/pipeline/stream-evolution.ts';
const LOOP = 'enrich/pipeline/click-loop.ts';
const WORKER = 'enrich/worker/open-click-worker.ts';
const DIMENSION = 'enrich/state/dimension.ts';

/** Every variant must be caught: a simulation that misses one proves nothing. */
export const VARIANTS: readonly Variant[] = [
  {
    name: 'acceptance-rule-left-out',
    breaks: 'a batch lands wherever it starts',
    edits: [
      {
        file: ACCEPTANCE,
        find: 'if (expected === undefined || expected === range.start) continue;',
        put: 'continue;',
      },
    ],
  },
  {
    name: 'marker-only-in-the-summary',
    breaks: 'the position goes with the snapshot that carries it',
    edits: [
      {
        file: POSITION,
        find: 'properties: { [propertyName(pipeline)]: text },',
        put: 'properties: {},',
      },
    ],
  },
  {
    name: 'files-deleted-after-504',
    breaks: 'an unknown outcome is taken for a failure, and cleaned up after',
    edits: [
      {
        file: COMMIT,
        find: '        const resolved = await resolveUnknown(',
        put: `        for (const file of options.dataFiles) await options.store.delete(file.location);
        const resolved = await resolveUnknown(`,
      },
    ],
  },
  {
    name: 'rebase-before-main-moved',
    breaks: 'a commit of unknown outcome is staged anew at once',
    edits: [
      {
        file: COMMIT,
        find: 'if (metadata.currentSnapshotId !== staged.parentSnapshotId) return',
        put: 'return',
      },
    ],
  },
  {
    name: 'position-committed-alone',
    breaks: 'the property goes out in a request before the rows',
    edits: [
      {
        file: STAGE,
        find: '  const { snapshotId, parentSnapshotId } = snapshot;\n  return options.catalog',
        put: `  const { snapshotId, parentSnapshotId } = snapshot;
  const { catalog, identifier } = options;
  const updates = [{ action: 'set-properties', updates: properties }] as const;
  const first = catalog.prepareCommit({ identifier, requirements: [], updates });
  const second = prepareRows();
  return { send: async () => (await first.send(), second.send()) };
  function prepareRows() { return options.catalog`,
      },
      {
        file: STAGE,
        find: `        : [{ action: 'set-properties', updates: properties } as const]),
    ],
  });
}`,
        put: `        : []),
    ],
  });
}}`,
      },
    ],
  },
  {
    name: 'assert-ref-left-out',
    breaks: 'main is moved from whatever head it has',
    edits: [
      {
        file: STAGE,
        find: "      { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: parentSnapshotId ?? null },\n",
        put: '',
      },
    ],
  },
  {
    name: 'commit-id-not-looked-up',
    breaks: 'a commit whose answer was lost is not recognised',
    edits: [
      {
        file: ACCEPTANCE,
        find: "if (standsInAncestry(metadata, claim.pipeline, claim.commitId)) return { kind: 'landed' };",
        put: '',
      },
      {
        file: ACCEPTANCE,
        find: "if (committed?.commitId === claim.commitId) return { kind: 'landed' };",
        put: '',
      },
      {
        file: COMMIT,
        find: 'if (run.sentSnapshotIds.size === 0) return false;',
        put: 'if (run.sentSnapshotIds.size >= 0) return false;',
      },
    ],
  },
  {
    name: 'topic-id-ignored',
    breaks: 'a recreated topic is read on from the position of the old one',
    edits: [
      {
        file: ACCEPTANCE,
        find: ' && topicId === actual.topicId) {',
        put: ') {',
      },
    ],
  },
  {
    name: 'cluster-id-ignored',
    breaks: 'another cluster is read on from the position of the old one',
    edits: [
      {
        file: ACCEPTANCE,
        find: 'if (clusterId === actual.clusterId && ',
        put: 'if (',
      },
      {
        file: 'enrich/pipeline/topic-fences.ts',
        find: 'if (stored.clusterId === clusterId && ',
        put: 'if (',
      },
      {
        file: DIMENSION,
        find: 'if (source.clusterId === clusterId && ',
        put: 'if (',
      },
    ],
  },
  {
    name: 'stale-property-trusted',
    breaks: 'a roll-back is not noticed',
    edits: [
      {
        file: POSITION,
        find: '    throw rolledBack(metadata, pipeline, fromProperty, fromSnapshot);',
        put: '    return fromProperty;',
      },
    ],
  },
  {
    name: 'roll-back-judged-by-the-head',
    breaks: 'a roll-back is not noticed once others have committed on top',
    edits: [
      {
        file: POSITION,
        find: 'fromProperty.sequenceNumber > (oldest?.sequenceNumber ?? 0n);',
        put: `fromProperty.sequenceNumber > (metadata.snapshots.find(
    ({ snapshotId }) => snapshotId === metadata.currentSnapshotId)?.sequenceNumber ?? 0n);`,
      },
    ],
  },
  {
    name: 'dead-letters-before-the-events',
    breaks: 'a reject is settled before the events table has decided on it',
    edits: [
      {
        file: FLUSH,
        find: '  const writtenMs = clock.',
        put: `  if (pending !== undefined) await settleRejects(context, pending, signal);
  const writtenMs = clock.`,
      },
    ],
  },
  {
    name: 'pending-rejects-forgotten',
    breaks: 'a crash before the dead-letter commit loses the dead letters',
    edits: [
      {
        file: LOOP,
        find: 'for (const pending of committed?.pending ?? []) {',
        put: 'for (const pending of committed === undefined ? [] : []) {',
      },
      {
        file: ACCEPTANCE,
        find: '(entry) => !claim.settled.has(entry.commitId),',
        put: '() => false,',
      },
    ],
  },
  {
    name: 'filtered-not-counted',
    breaks: 'offsets without a record are passed without a count',
    edits: [
      {
        file: 'enrich/core/take-records.ts',
        find: '  countFiltered(batch, partition, nextOffset - from);\n',
        put: '',
      },
    ],
  },
  {
    name: 'dimension-positions-after-the-join',
    breaks: 'a commit records positions that its join had not seen',
    edits: [
      {
        file: FLUSH,
        find: 'claimOf(context, { account, commitId, dimensions, pending })',
        put: 'claimOf(context, { account, commitId, dimensions: dimensionPositions(context), pending })',
      },
    ],
  },
  {
    name: 'join-without-the-barrier',
    breaks: 'changes come in between the joins of two workers',
    edits: [
      {
        file: FLUSH,
        find: '  return state.holdProjections(async () => {',
        put: '  return (async (work) => work())(async () => {',
      },
    ],
  },
  {
    name: 'abandoned-memory-reused',
    breaks: 'a batch that was given up goes on with memory that is filled anew',
    edits: [
      {
        file: WORKER,
        find: '      this.#sealed = this.#createBatch();\n',
        put: '      clearClickBatch(this.#sealed);\n',
      },
      {
        file: 'enrich/worker/sealed-account.ts',
        find: 'ranges: new Map([...batch.ranges].map(([partition, range]) => [partition, { ...range }])),',
        put: 'ranges: batch.ranges,',
      },
      {
        file: FLUSH,
        find: '  const claim = claimOf(context, { account,',
        put: '  const claim = claimOf(context, { account: accountOfAll(parts.map(({ batch }) => batch)),',
      },
      {
        file: COMMIT,
        find: '    options.signal?.throwIfAborted();\n',
        put: '',
      },
    ],
  },
  {
    name: 'unbounded-buffer',
    breaks: 'what cannot be committed is taken in all the same',
    edits: [
      {
        file: 'enrich/worker/click-intake.ts',
        find: '  isFull(batch: ClickBatch): boolean {\n',
        put: '  isFull(batch: ClickBatch): boolean {\n    if (batch.rows.rowCount >= 0) return false;\n',
      },
      {
        file: 'enrich/worker/click-intake.ts',
        find: 'return rowsMax + Math.min(rowsMax, POLL_ROWS_MAX);',
        put: 'return rowsMax + POLL_ROWS_MAX;',
      },
    ],
  },
  {
    name: 'row-and-position-in-two-batches',
    breaks: 'a crash between them leaves rows without their position',
    edits: [
      {
        file: DIMENSION,
        find: 'await this.#store.applyBatch([...writes, this.#recordWrite(summed), ...entries]);',
        put: `await this.#store.applyBatch(writes);
    await this.#store.applyBatch([this.#recordWrite(summed), ...entries]);`,
      },
    ],
  },
  {
    name: 'reject-not-kept-with-the-position',
    breaks: 'a crash after the position loses a reject of a change topic',
    edits: [
      {
        file: DIMENSION,
        find: 'await this.#store.applyBatch([...writes, this.#recordWrite(summed), ...entries]);',
        put: `await this.#store.applyBatch([...writes, this.#recordWrite(summed)]);
    await this.#store.applyBatch([...entries]);`,
      },
    ],
  },
  {
    name: 'projection-before-the-store',
    breaks: 'joins see rows and a position that a crash takes back',
    edits: [
      {
        file: DIMENSION,
        find: '    await this.#store.applyBatch([...writes, this.#recordWrite(summed), ...entries]);\n    await this.#project(changed, bytes, summed);',
        put: `    await this.#project(changed, bytes, summed);
    await this.#store.applyBatch([...writes, this.#recordWrite(summed), ...entries]);`,
      },
    ],
  },
  {
    name: 'change-not-in-the-journal',
    breaks: 'a projection that is opened from its file lacks what has changed since',
    edits: [
      {
        file: DIMENSION,
        find: 'if (rows.length === 0) return { image, writes: [] };',
        put: 'if (rows.length >= 0) return { image, writes: [] };',
      },
    ],
  },
  {
    name: 'older-change-applied',
    breaks: 'a change that comes again undoes the newer ones',
    edits: [
      {
        file: 'enrich/state/fold-changes.ts',
        find: 'if (sourcePosition < current.sourcePosition) return false;',
        put: 'if (sourcePosition < 0n) return false;',
      },
    ],
  },
  {
    name: 'readiness-skipped',
    breaks: 'clicks are joined to a state that is still being read',
    edits: [
      {
        file: 'enrich/pipeline/readiness.ts',
        find: '  const wasLoaded = completion.missing().length === 0;\n',
        put: '  const wasLoaded = completion.missing().length === 0;\n  if (!signal.aborted) return;\n',
      },
    ],
  },
  {
    name: 'hash-taken-for-the-number',
    breaks: 'two integers of one hash are one join key',
    edits: [
      {
        file: 'enrich/state/row-keys.ts',
        find: 'if (words[2 * id] === low && words[2 * id + 1] === high) return id;',
        put: 'return id;',
      },
      {
        file: 'enrich/state/row-keys.ts',
        find: 'else if (lows[i] === low && keys[2 * id + 1] === high) out[row] = id;',
        put: 'else if (id >= 0) out[row] = id;',
      },
    ],
  },
  {
    name: 'hash-taken-for-the-text',
    breaks: 'two texts of one hash are one join key or one value',
    edits: [
      {
        file: 'enrich/state/row-keys.ts',
        find: 'if (slab.equals(id, bytes, start, length)) return id;',
        put: 'return id;',
      },
      {
        file: 'enrich/state/row-keys.ts',
        find: 'else if (this.slab.equals(id, bytes, start, length)) out[row] = id;',
        put: 'else if (id >= 0) out[row] = id;',
      },
    ],
  },
  {
    name: 'field-ids-of-the-contract',
    breaks: 'columns go by the ids of a new table, not by those of this one',
    edits: [
      {
        file: PLAN,
        find: 'columns: new Map(written.map(({ id, name, type }) => [name, { id, type }])),',
        put: `columns: new Map(written.map(({ name, type }) =>
      [name, { id: 1 + columns.findIndex((one) => one.name === name), type }])),`,
      },
    ],
  },
  {
    name: 'column-in-a-commit-of-its-own',
    breaks: 'the schema goes out in a request before the rows that need it',
    edits: [
      {
        file: STAGE,
        find: '  const { snapshotId, parentSnapshotId } = snapshot;\n  return options.catalog',
        put: `  const { snapshotId, parentSnapshotId } = snapshot;
  const { catalog, identifier } = options;
  const { requirements = [], updates = [] } = evolution ?? {};
  const first = catalog.prepareCommit({ identifier, requirements, updates });
  const second = prepareRows();
  if (updates.length === 0) return second;
  return { send: async () => (await first.send(), second.send()) };
  function prepareRows() { return options.catalog`,
      },
      { file: STAGE, find: '      ...(evolution?.requirements ?? []),\n', put: '' },
      { file: STAGE, find: '      ...(evolution?.updates ?? []),\n', put: '' },
      {
        file: STAGE,
        find: `        : [{ action: 'set-properties', updates: properties } as const]),
    ],
  });
}`,
        put: `        : [{ action: 'set-properties', updates: properties }]),
    ],
  });
}}`,
      },
    ],
  },
  {
    name: 'schema-requirements-left-out',
    breaks: 'a schema replaces whatever schema the table has by then',
    edits: [{ file: STAGE, find: '      ...(evolution?.requirements ?? []),\n', put: '' }],
  },
  {
    name: 'files-not-written-again',
    breaks: 'files keep the ids of a plan that others have overtaken',
    edits: [
      {
        file: PLAN,
        find: '  if (one.columns.size !== other.columns.size) return false;\n',
        put: '  if (one.columns.size >= 0) return true;\n',
      },
    ],
  },
  {
    name: 'column-for-a-record-that-is-none',
    breaks: 'a schema that was only met changes the table',
    edits: [
      {
        file: EVOLUTION,
        find: '[...schemaIds].flatMap(',
        put: '[...this.#carries.keys()].flatMap(',
      },
    ],
  },
  {
    name: 'half-full-batch-without-its-columns',
    breaks: 'a batch that is half full goes on without what is new',
    edits: [
      {
        file: 'schemas/extend-rows.ts',
        find: '  const fresh = createColumn(field, capacity, grown);\n',
        put: `  const fresh = createColumn(field, capacity, grown);
  if (rowCount > 0) fresh.valid.fill(1, 0, rowCount);
`,
      },
    ],
  },
  {
    name: 'within-a-column-what-no-row-brings',
    breaks: 'a commit changes a column by more than its rows need',
    edits: [
      {
        file: 'schemas/partly-grown.ts',
        find: 'if (own === undefined && !isGrown && !isFilled) return [];',
        put: "if (own === undefined && !isGrown && path === '') return [];",
      },
    ],
  },
];
