import { expect, test } from 'vitest';
import type { AppendOptions, AppendVerdict } from '../../../catalog/commit/append.ts';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import { decodeAvroFile } from '../../../catalog/manifest/avro-file.ts';
import { decodeManifestList } from '../../../catalog/manifest/manifest-list.ts';
import type { TableMetadata } from '../../../catalog/spec/table-metadata.ts';
import { createAppendBench } from './append-bench.ts';
import type { AppendBench } from './append-bench.ts';

const FIRST = { start: 0, end: 10 };

/** An append that also adds a column, as planned for the metadata that it is judged against. */
function adding(options: AppendOptions): AppendOptions {
  const decide = (metadata: TableMetadata): AppendVerdict => {
    const verdict = options.decide(metadata);
    return verdict.kind === 'append' ? { ...verdict, evolution: evolutionOf(metadata) } : verdict;
  };
  return { ...options, decide };
}

function evolutionOf({ schemas, currentSchemaId, lastColumnId }: TableMetadata) {
  const id = lastColumnId + 1;
  const field = { id, name: 'extra', type: 'string', required: false } as const;
  const current = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
  const schemaId = 1 + Math.max(...schemas.map((one) => one.schemaId));
  const tableSchema = { schemaId, fields: [...(current?.fields ?? []), field] };
  return {
    tableSchema,
    requirements: [
      { type: 'assert-current-schema-id', currentSchemaId } as const,
      { type: 'assert-last-assigned-field-id', lastAssignedFieldId: lastColumnId } as const,
    ],
    updates: [
      { action: 'add-schema', schema: tableSchema, lastColumnId: id } as const,
      { action: 'set-current-schema', schemaId: -1 } as const,
    ],
  };
}

async function addColumnByOthers(bench: AppendBench): Promise<void> {
  const { updates } = evolutionOf(await bench.load());
  const identifier = { namespace: ['shop'], name: 'clicks' };
  await bench.catalog.prepareCommit({ identifier, requirements: [], updates }).send();
}

test('one request carries the schema, what it asserts, and the rows that need it', async () => {
  const bench = await createAppendBench();
  await commitAppend(adding(bench.options('c1', FIRST)));
  const metadata = await bench.load();
  expect(metadata.snapshots).toMatchObject([{ schemaId: 1 }]);
  expect(metadata).toMatchObject({ currentSchemaId: 1 });
  const sent = JSON.parse(bench.sent[0] ?? '') as {
    requirements: { type: string }[];
    updates: { action: string }[];
  };
  expect(bench.sent).toHaveLength(1);
  expect(sent.requirements.map(({ type }) => type)).toEqual([
    'assert-table-uuid',
    'assert-ref-snapshot-id',
    'assert-current-schema-id',
    'assert-last-assigned-field-id',
  ]);
  expect(sent.updates.map(({ action }) => action)).toEqual([
    'add-schema',
    'set-current-schema',
    'add-snapshot',
    'set-snapshot-ref',
    'set-properties',
  ]);
});

test('its manifest names the schema that the files were written for', async () => {
  const bench = await createAppendBench();
  await commitAppend(adding(bench.options('c1', FIRST)));
  const { snapshots } = await bench.load();
  const list = decodeManifestList(await bench.store.get(snapshots[0]?.manifestList ?? ''));
  const { metadata } = decodeAvroFile(await bench.store.get(list[0]?.location ?? ''));
  expect(metadata.get('schema')).toContain('"extra"');
});

test('a schema that has moved meanwhile has it judged again, and only what is judged anew is sent', async () => {
  const bench = await createAppendBench();
  const options = adding(bench.options('c1', FIRST));
  let asked = 0;
  const decide = (metadata: TableMetadata): AppendVerdict => {
    asked += 1;
    return asked === 1 ? options.decide(metadata) : { kind: 'rewrite' };
  };
  const real = bench.catalog.prepareCommit.bind(bench.catalog);
  let isFirst = true;
  const catalog = {
    ...bench.catalog,
    prepareCommit: (request: Parameters<typeof real>[0]) => ({
      send: async () => {
        if (isFirst) await addColumnByOthers(bench);
        isFirst = false;
        return real(request).send();
      },
    }),
  };
  const outcome = await commitAppend({ ...options, catalog, decide });
  expect(outcome).toMatchObject({ kind: 'rewrite' });
  const metadata = await bench.load();
  expect(outcome.metadata.lastColumnId).toBe(metadata.lastColumnId);
  expect(metadata.snapshots, 'and nothing of it is in the table').toEqual([]);
  expect(bench.deleted).toEqual([]);
});

test.each(['fail', 'delay'] as const)(
  'a schema that has moved after an unknown outcome (%s) is told at once, and both copies are one commit at most',
  async (fault) => {
    const bench = await createAppendBench();
    bench.faults = [fault];
    bench.onSleep = async () => {
      bench.onSleep = undefined;
      await addColumnByOthers(bench);
    };
    const options = bench.options('c1', FIRST);
    const decide = (metadata: TableMetadata): AppendVerdict => {
      const verdict = options.decide(metadata);
      const isOther = metadata.currentSchemaId !== 0;
      return verdict.kind === 'append' && isOther ? { kind: 'rewrite' } : verdict;
    };
    const outcome = await commitAppend({ ...options, decide });
    expect(outcome).toMatchObject({ kind: 'rewrite' });
    expect(bench.sent, 'the request of before and the column of others').toHaveLength(2);
    bench.catalog.deliverDelayed();
    await commitAppend(bench.options('c1', FIRST));
    expect((await bench.load()).snapshots).toHaveLength(1);
    expect(bench.deleted).toEqual([]);
  },
);
