import type { IcebergType, NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../../enrich/metrics.ts';
import { PipelineStatus } from '../../../enrich/pipeline/pipeline-status.ts';
import { StreamEvolution } from '../../../enrich/pipeline/stream-evolution.ts';
import type { AvroField, AvroObject } from '../../../schemas/contract.ts';
import { fieldPaths } from '../../../schemas/field-paths.ts';
import { pipelineConfig, shippedContracts, World } from './harness.ts';
import type { StartOptions } from './harness.ts';
import { clickWith, contractsWith, field, withPolicy } from './producers.ts';
import { virtualClock } from './virtual-time.ts';

async function openEvolution(config?: StartOptions['config'], contracts = shippedContracts) {
  const { world } = await World.started({ contracts });
  const metadata = await world.metadata();
  const warnings: unknown[] = [];
  const table = { identifier: { namespace: ['lake'], name: 'clicks' }, metadata };
  const evolution = new StreamEvolution({
    config: { ...pipelineConfig(), ...config },
    contracts,
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
    const { lastColumnId } = table.metadata;
    const added = columns.map(([name, type], index) => {
      return { id: lastColumnId + 100 * (index + 1), name, type, required: false };
    });
    alter((fields) => [...fields, ...added]);
  };
  /** Somebody else changes the columns of the table. */
  const alter = (edit: (fields: readonly NestedField[]) => NestedField[]): void => {
    const { schemas, lastColumnId, currentSchemaId } = table.metadata;
    const fields = edit(schemas.at(-1)?.fields ?? []);
    table.metadata = {
      ...table.metadata,
      schemas: [...schemas, { schemaId: currentSchemaId + 1, fields }],
      currentSchemaId: currentSchemaId + 1,
      lastColumnId: lastColumnId + 1000,
    };
  };
  return { evolution, meet, typeOf, add, alter, warnings };
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

/** A field `geo` of records. */
const record = (...fields: AvroField[]): AvroField =>
  field('geo', { type: 'record', name: 'Geo', fields });

/** A field of lists of records. */
const lines = (...fields: AvroField[]): AvroField =>
  field('lines', { type: 'array', items: { type: 'record', name: 'Line', fields } });

/** Somebody else gives the column `geo` a field within it, in place of one of that name. */
const put = (name: string, type: IcebergType) => (fields: readonly NestedField[]) =>
  fields.map((column) => {
    if (column.name !== 'geo' || typeof column.type === 'string') return column;
    const within = column.type.type === 'struct' ? column.type.fields : [];
    const others = within.filter((one) => one.name !== name);
    const added = { id: 10_000, name, type, required: false };
    return { ...column, type: { type: 'struct' as const, fields: [...others, added] } };
  });

describe('what is new within a column of the contract', () => {
  const [city, zip] = [field('city', 'string'), field('zip', 'string')];
  const contracts = contractsWith(record(city, lines(field('n', 'int'))));
  const brings = clickWith(record(city, zip, lines(field('n', 'long'), field('text', 'string'))));
  const open = () => openEvolution(withPolicy().config, contracts);

  it('comes with rows that bring it and is left out where the table has something else by now', async () => {
    const { meet, typeOf, alter, warnings } = await open();
    meet(1, brings);
    expect(pathsOf(typeOf('geo'))).toEqual(['city string', 'lines[].n int']);
    expect(pathsOf(typeOf('geo', 1))).toEqual([
      'city string',
      'lines[].n long',
      'lines[].text string',
      'zip string',
    ]);
    alter(put('zip', 'int'));
    expect(pathsOf(typeOf('geo', 1))).toEqual([
      'city string',
      'lines[].n long',
      'lines[].text string',
    ]);
    expect(warnings).toMatchObject([
      { reasons: ['column geo.zip is int in the table and cannot become string'] },
    ]);
  });

  it('stays out of plans for rows that lack it, whatever the table has under its name', async () => {
    const { meet, typeOf, alter } = await open();
    meet(1, brings);
    alter(put('zip', 'int'));
    expect(pathsOf(typeOf('geo'))).toEqual(['city string', 'lines[].n int']);
  });

  it('is for the policy where the table has something else from the start', async () => {
    const { meet, typeOf, alter, warnings } = await open();
    alter(put('zip', 'int'));
    meet(1, brings);
    expect(warnings).toMatchObject([
      {
        ignored: [
          'field geo.zip is not in the contract, and it is int in the table and cannot become string (add-field)',
        ],
      },
    ]);
    expect(pathsOf(typeOf('geo', 1))).toEqual([
      'city string',
      'lines[].n long',
      'lines[].text string',
    ]);
  });

  it('is read by no schema that was read without it', async () => {
    const { evolution, meet, alter } = await open();
    alter(put('zip', 'int'));
    const lesson = evolution.lessonOf(new Map([[1, brings]]), new Set());
    alter(put('zip', 'string'));
    meet(2, clickWith(record(city, zip, lines(field('n', 'int')))));
    const { contract } = evolution.lessonOf(new Map(), new Set());
    const told = lesson.avroSchemas.get(1);
    expect(told).toBeTypeOf('object');
    const paths = fieldPaths(contract, told as AvroObject);
    expect(paths).toContain('geo.city');
    expect(fieldPaths(contract)).toContain('geo.zip');
    expect(paths).not.toContain('geo.zip');
  });

  it('stops the pipeline only where the contract of the start has it', async () => {
    const { meet, typeOf, alter } = await open();
    meet(1, brings);
    alter(put('city', 'int'));
    expect(() => typeOf('geo', 1)).toThrow('column geo.city is int in the table');
  });
});

/** `path type` of all values within a type. */
function pathsOf(type: unknown, path = ''): string[] {
  if (typeof type === 'string') return [`${path} ${type}`];
  const nested = type as Exclude<IcebergType, string>;
  if (nested.type === 'list') return pathsOf(nested.element, `${path}[]`);
  if (nested.type === 'map') return pathsOf(nested.value, `${path}{}`);
  return nested.fields
    .flatMap((one) => pathsOf(one.type, path === '' ? one.name : `${path}.${one.name}`))
    .toSorted();
}

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

it('a change that is ignored is a warning where values or records are lost by it, and a skipped field is none', async () => {
  const { meet, warnings } = await openEvolution(withPolicy('ignore').config);
  const click = clickWith();
  const withoutUrl = { ...click, fields: click.fields?.filter(({ name }) => name !== 'url') };
  meet(1, clickWith(field('score', 'int')));
  expect(warnings).toEqual([]);
  meet(2, clickWith(field('duration_ms', ['null', 'long'])));
  meet(3, withoutUrl as AvroObject);
  expect(warnings).toMatchObject([
    { schemaId: 2, ignored: [expect.stringContaining('(widen-type)')] },
    { schemaId: 3, ignored: [expect.stringContaining('(drop-field)')] },
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
    const told = refused.get(1)?.message.split('; ') ?? [];
    expect(told).toHaveLength(21);
    expect([told[0], told[20]]).toEqual([
      'field a0 is not in the contract (add-field)',
      'and 980 more',
    ]);
  });
});
