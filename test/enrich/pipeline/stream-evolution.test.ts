import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../../enrich/metrics.ts';
import { PipelineStatus } from '../../../enrich/pipeline/pipeline-status.ts';
import { StreamEvolution } from '../../../enrich/pipeline/stream-evolution.ts';
import type { AvroObject } from '../../../schemas/contract.ts';
import { pipelineConfig, shippedContracts, World } from './harness.ts';
import type { StartOptions } from './harness.ts';
import { clickWith, field, withPolicy } from './producers.ts';
import { virtualClock } from './virtual-time.ts';

async function openEvolution(config?: StartOptions['config']) {
  const { world } = await World.started();
  const metadata = await world.metadata();
  const warnings: unknown[] = [];
  const table = { identifier: { namespace: ['lake'], name: 'clicks' }, metadata };
  const evolution = new StreamEvolution({
    config: { ...pipelineConfig(), ...config },
    contracts: shippedContracts,
    table,
    logger: {
      info: () => undefined,
      warn: (message, details) => void warnings.push({ message, ...details }),
      error: () => undefined,
    },
    metrics: createMetrics(),
    status: new PipelineStatus(virtualClock(world.time)),
  });
  const meet = (schemaId: number, writer: AvroObject): void => {
    evolution.lessonOf(new Map([[schemaId, writer]]), new Set([schemaId]));
  };
  const typeOf = (column: string, ...schemaIds: number[]): unknown =>
    evolution.plan(new Set(schemaIds), table.metadata).columns.get(column)?.type;
  /** Somebody else adds these columns to the table. */
  const add = (...columns: (readonly [string, IcebergType])[]): void => {
    const { schemas, lastColumnId, currentSchemaId } = table.metadata;
    const added = columns.map(([name, type], index) => {
      return { id: lastColumnId + 100 * (index + 1), name, type, required: false };
    });
    const fields = [...(schemas.at(-1)?.fields ?? []), ...added];
    table.metadata = {
      ...table.metadata,
      schemas: [...schemas, { schemaId: currentSchemaId + 1, fields }],
      currentSchemaId: currentSchemaId + 1,
      lastColumnId: lastColumnId + 1000,
    };
  };
  return { evolution, meet, typeOf, add, warnings };
}

it('a plan that was made before the contract has grown is not the plan of rows that came after', async () => {
  const { meet, typeOf } = await openEvolution();
  meet(1, clickWith(field('score', 'int')));
  expect(typeOf('score', 1)).toBe('int');
  meet(2, clickWith(field('score', 'long')));
  expect(typeOf('score', 2)).toBe('long');
});

it('a plan has no column that none of its rows needs', async () => {
  const { meet, typeOf } = await openEvolution();
  meet(1, clickWith(field('score', 'int')));
  meet(2, clickWith(field('tag', 'string')));
  expect([typeOf('score', 2), typeOf('tag', 2)]).toEqual([undefined, 'string']);
  expect([typeOf('score', 1), typeOf('tag', 1)]).toEqual(['int', undefined]);
  expect(typeOf('duration_ms', 1, 2)).toBe('int');
});

it('a new column that has another type in the table by now is left out, and so is one that differs within', async () => {
  const { meet, typeOf, add } = await openEvolution();
  const home = { type: 'record', name: 'Home', fields: [field('city', 'string')] };
  meet(1, clickWith(field('score', 'int'), field('home', home), field('tag', 'string')));
  const city = { id: 10_000, name: 'city', type: 'int', required: false } as const;
  add(['score', 'string'], ['home', { type: 'struct', fields: [city] }]);
  expect([typeOf('score', 1), typeOf('home', 1)]).toEqual([undefined, undefined]);
  expect([typeOf('tag', 1), typeOf('duration_ms', 1)]).toEqual(['string', 'int']);
});

it('rows of a schema that is read without a field need no column of its name', async () => {
  const { meet, typeOf, add } = await openEvolution(
    withPolicy('ignore', new Set(['add-field'])).config,
  );
  add(['score', 'int']);
  meet(1, clickWith(field('score', 'long')));
  meet(2, clickWith(field('score', 'int')));
  expect([typeOf('score', 1), typeOf('score', 2)]).toEqual([undefined, 'int']);
});

it('what a table does not take is told once, however often plans of other rows come between', async () => {
  const { meet, typeOf, add, warnings } = await openEvolution();
  meet(1, clickWith(field('score', 'int')));
  meet(2, clickWith(field('tag', 'string')));
  meet(3, clickWith(field('score', 'int'), field('tag', 'string')));
  add(['score', 'string']);
  for (const ids of [[1], [2], [1], [3], [1, 2]]) typeOf('score', ...ids);
  expect(warnings).toEqual([
    {
      message: 'the table does not take what records bring: it is left out',
      reasons: ['column score is string in the table and cannot become int'],
    },
  ]);
  add(['tag', 'boolean']);
  typeOf('tag', 3);
  expect(warnings.slice(1)).toMatchObject([
    { reasons: ['column tag is boolean in the table and cannot become string'] },
  ]);
});

/** A click with so many fields more, of which each makes two columns. */
function many(prefix: string, count: number): AvroObject {
  const list = { type: 'array', items: 'int' };
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  return clickWith(...names.map((name) => field(name, list)));
}

describe('a table that producers have made as large as they may', () => {
  it('gets no other column from them, and the log has a warning', async () => {
    const { meet, typeOf, warnings } = await openEvolution();
    meet(1, many('a', 100));
    expect(warnings).toEqual([]);
    meet(2, many('b', 30));
    expect([typeOf('b14', 2), typeOf('b15', 2)]).toEqual([expect.anything(), undefined]);
    expect(typeOf('a99', 1)).toBeDefined();
    expect(warnings).toEqual([
      expect.objectContaining({
        schemaId: 2,
        ignored: expect.arrayContaining([
          'field b15 is not in the contract, and the table would have more than 256 columns, nested ones counted, ' +
            'which no producer may bring: add it to the contract (add-field)',
        ]) as unknown,
      }),
    ]);
  });

  it('is left as it is also where others have made it so, and changes in what it has', async () => {
    const { meet, typeOf, add } = await openEvolution();
    add(...Array.from({ length: 250 }, (_, index) => [`a${index}`, 'int'] as const));
    meet(
      1,
      clickWith(field('new', 'int'), field('a0', 'int'), field('duration_ms', ['null', 'long'])),
    );
    expect([typeOf('new', 1), typeOf('a0', 1), typeOf('duration_ms', 1)]).toEqual([
      undefined,
      'int',
      'long',
    ]);
  });

  it('has the policy decide on what is more', async () => {
    const { evolution } = await openEvolution(withPolicy('reject', new Set(['add-field'])).config);
    const schemas = new Map([1, 116].map((count) => [count, many('a', count)]));
    const { refused } = evolution.lessonOf(schemas, new Set());
    expect([...refused.keys()]).toEqual([116]);
  });

  it('is told of by the first of many changes, and how many they are', async () => {
    const { evolution } = await openEvolution(withPolicy('reject').config);
    const { refused } = evolution.lessonOf(new Map([[1, many('a', 1_000)]]), new Set());
    const told = refused.get(1)?.split('; ') ?? [];
    expect(told).toHaveLength(21);
    expect([told[0], told[20]]).toEqual([
      'field a0 is not in the contract (add-field)',
      'and 980 more',
    ]);
  });
});
