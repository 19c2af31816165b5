import { applyUpdates } from '@iceberg-js/rest-client-shim/spec/apply-updates.ts';
import { checkRequirements } from '@iceberg-js/rest-client-shim/spec/check-requirements.ts';
import { highestFieldId } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import { newTableMetadata } from '@iceberg-js/rest-client-shim/spec/new-table.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type {
  IcebergType,
  MapType,
  NestedField,
  TableSchema,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import { planEvolution } from '../../schemas/plan-evolution.ts';
import type { EvolutionWish, TableEvolution } from '../../schemas/plan-evolution.ts';

const nowMs = 1_795_380_549_287;
const field = (name: string, type: IcebergType, required = false): NestedField => {
  return { id: 0, name, required, type };
};

const struct = (...fields: NestedField[]): IcebergType => ({ type: 'struct', fields });
const list = (element: IcebergType, elementRequired = false): IcebergType => {
  return { type: 'list', elementId: 0, element, elementRequired };
};
const map = (value: IcebergType, valueRequired = false): MapType => {
  return { type: 'map', keyId: 0, key: 'string', valueId: 0, value, valueRequired };
};

/** A table as a catalog makes it: it numbers the fields itself. */
function tableOf(fields: readonly NestedField[], schema: Partial<TableSchema> = {}): TableMetadata {
  const request = {
    identifier: { namespace: ['lake'], name: 'clicks' },
    schema: { schemaId: 0, fields, ...schema },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  };
  const tableUuid = 'a1d72a34-de37-4625-914a-2d6b0963c011';
  return newTableMetadata(request, { location: 'memory://lake/clicks', tableUuid, nowMs });
}

const base = (): TableMetadata =>
  tableOf([field('at', 'timestamptz', true), field('user_id', 'int'), field('price', 'float')]);

const plan = (
  table: EvolutionWish['table'],
  columns: readonly NestedField[],
  own: Partial<EvolutionWish> = {},
): TableEvolution => planEvolution({ table, columns, allows: () => true, ...own });

const shown = ({ tableSchema }: TableEvolution): string[] =>
  tableSchema.fields.map(
    ({ id, name, type, required }) =>
      `${id} ${name} ${JSON.stringify(type).replaceAll('"', '')}${required ? ' required' : ''}`,
  );

/** The table after the catalog has taken the plan. */
function evolved(table: TableMetadata, evolution: TableEvolution): TableMetadata {
  expect(checkRequirements(table, evolution.requirements)).toBeUndefined();
  const after = applyUpdates(table, evolution.updates, nowMs);
  const current = after.schemas.find(({ schemaId }) => schemaId === after.currentSchemaId);
  expect(current).toEqual(evolution.tableSchema);
  expect(after.lastColumnId).toBe(evolution.lastColumnId);
  return after;
}

const sameColumns = [
  field('at', 'timestamptz', true),
  field('user_id', 'int'),
  field('price', 'float'),
];

describe('a plan of evolution', () => {
  it('is empty where the table has it all, whatever the order', () => {
    const table = base();
    const evolution = plan(table, sameColumns.toReversed());
    expect(evolution).toMatchObject({ changes: [], refused: [], updates: [], requirements: [] });
    expect(evolution.tableSchema).toBe(table.schemas[0]);
  });

  it('adds a column last, optional whatever the contract says, under the next id', () => {
    const table = base();
    const evolution = plan(table, [field('first', 'string', true), ...sameColumns]);
    expect(shown(evolution)).toEqual([
      '1 at timestamptz required',
      '2 user_id int',
      '3 price float',
      '4 first string',
    ]);
    expect(evolution.changes).toEqual([
      { kind: 'add-field', column: 'first', fieldId: 4, type: 'string' },
    ]);
    expect(evolution.requirements).toEqual([
      { type: 'assert-current-schema-id', currentSchemaId: 0 },
      { type: 'assert-last-assigned-field-id', lastAssignedFieldId: 3 },
    ]);
    expect(evolution.updates).toEqual([
      { action: 'add-schema', schema: evolution.tableSchema, lastColumnId: 4 },
      { action: 'set-current-schema', schemaId: -1 },
    ]);
    evolved(table, evolution);
  });

  it('never gives an id of a column that is gone again (INVARIANTS.md 11)', () => {
    const table = { ...base(), lastColumnId: 17 };
    const evolution = plan(table, [...sameColumns, field('price_2', 'float')]);
    expect(evolution.changes).toMatchObject([{ column: 'price_2', fieldId: 18 }]);
    expect(evolved(table, evolution).lastColumnId).toBe(18);
  });

  it('widens, makes optional, and leaves ids and order alone', () => {
    const table = base();
    const columns = [
      field('at', 'timestamptz'),
      field('user_id', 'long'),
      field('price', 'double'),
    ];
    const evolution = plan(table, columns);
    expect(shown(evolution)).toEqual(['1 at timestamptz', '2 user_id long', '3 price double']);
    expect(evolution.changes).toEqual([
      { kind: 'make-optional', column: 'at', fieldId: 1 },
      { kind: 'widen-type', column: 'user_id', fieldId: 2, from: 'int', to: 'long' },
      { kind: 'widen-type', column: 'price', fieldId: 3, from: 'float', to: 'double' },
    ]);
    evolved(table, evolution);
  });

  it('leaves a required column required where the contract is stricter, and an optional one optional', () => {
    const columns = [
      field('at', 'timestamptz', true),
      field('user_id', 'int', true),
      sameColumns[2],
    ];
    expect(
      plan(
        base(),
        columns.filter((each) => each !== undefined),
      ).changes,
    ).toEqual([]);
  });

  it('keeps a column that nothing writes any more, and lets it be null', () => {
    const evolution = plan(base(), [field('user_id', 'int')]);
    expect(shown(evolution)).toEqual(['1 at timestamptz', '2 user_id int', '3 price float']);
    expect(evolution.changes).toEqual([{ kind: 'drop-field', column: 'at', fieldId: 1 }]);
    evolved(base(), evolution);
  });

  it.each<[IcebergType, string]>([
    ['string', 'is int in the table and cannot become string'],
    ['float', 'is int in the table and cannot become float'],
    [{ type: 'struct', fields: [] }, 'is int in the table and cannot become a struct'],
  ])('refuses another type, allowed or not: %j', (type, reason) => {
    const evolution = plan(base(), [field('at', 'timestamptz', true), field('user_id', type)]);
    expect(evolution.changes).toEqual([]);
    expect(evolution.refused).toEqual([
      { kind: 'change-type', by: 'table', column: 'user_id', reason },
    ]);
  });

  it('leaves a column as wide as it is, however deep, under a new name too', () => {
    const nested = (type: IcebergType) =>
      field('box', struct(field('rows', list(struct(field('n', type)))), field('m', map(type))));
    const table = tableOf([field('user_id', 'long'), nested('decimal(12, 2)')]);
    const columns = [field('visitor_id', 'int'), nested('decimal(9, 2)')];
    const evolution = plan(table, columns, { formerNames: new Map([['visitor_id', ['user_id']]]) });
    expect(evolution.refused).toEqual([]);
    expect(evolution.changes).toMatchObject([{ kind: 'rename-field', column: 'visitor_id' }]);
    expect(shown(evolution)[0]).toBe('1 visitor_id long');
  });

  it('refuses to make a column optional that identifies rows', () => {
    const at = { ...field('at', 'timestamptz', true), id: 1 };
    const table = tableOf([at], { identifierFieldIds: [1] });
    const { changes, refused } = plan(table, [field('at', 'timestamptz')]);
    expect(changes).toEqual([]);
    expect(refused).toMatchObject([{ kind: 'make-optional', by: 'table', column: 'at' }]);
  });

  it('refuses a name that differs from one of the table by case alone', () => {
    const { changes, refused } = plan(base(), [...sameColumns, field('Price', 'float')]);
    expect(changes).toEqual([]);
    expect(refused).toMatchObject([{ kind: 'add-field', by: 'table', column: 'Price' }]);
    expect(refused[0]?.reason).toContain('beside price in the table');
  });

  it('does what is allowed and tells the rest, column by column', () => {
    const columns = [
      field('at', 'timestamptz'),
      field('user_id', 'long'),
      field('price', 'float'),
      field('a', 'string'),
      field('b', 'string'),
    ];
    const { changes, refused } = plan(base(), columns, {
      allows: (column, kind) => kind === 'add-field' && column === 'b',
    });
    expect(changes).toEqual([{ kind: 'add-field', column: 'b', fieldId: 4, type: 'string' }]);
    expect(refused).toEqual([
      {
        kind: 'make-optional',
        by: 'policy',
        column: 'at',
        reason: 'is required in the table, and may be null',
      },
      {
        kind: 'widen-type',
        by: 'policy',
        column: 'user_id',
        reason: 'is int in the table and would become long',
      },
      {
        kind: 'add-field',
        by: 'policy',
        column: 'a',
        reason: '(string) is missing from the table',
      },
    ]);
  });
});

describe('a column with a former name', () => {
  const columns = [
    field('at', 'timestamptz', true),
    field('user_id', 'int'),
    field('cost', 'double'),
  ];
  const formerNames = new Map([['cost', ['amount', 'price']]]);

  it('keeps its id under the new name, and is widened with it, where renaming is allowed', () => {
    const table = base();
    const evolution = plan(table, columns, { formerNames });
    expect(shown(evolution)).toEqual([
      '1 at timestamptz required',
      '2 user_id int',
      '3 cost double',
    ]);
    expect(evolution.changes).toEqual([
      { kind: 'rename-field', column: 'cost', fieldId: 3, from: 'price' },
      { kind: 'widen-type', column: 'cost', fieldId: 3, from: 'float', to: 'double' },
    ]);
    evolved(table, evolution);
  });

  it('is a new column beside the old one where it is not', () => {
    const evolution = plan(base(), columns, {
      formerNames,
      allows: (_column, kind) => kind !== 'rename-field',
    });
    expect(shown(evolution)).toContain('3 price float');
    expect(evolution.changes).toEqual([
      { kind: 'add-field', column: 'cost', fieldId: 4, type: 'double', besides: 'price' },
    ]);
  });

  it('is a new column where the former name is still another’s', () => {
    const evolution = plan(base(), [...sameColumns, field('cost', 'double')], { formerNames });
    expect(evolution.changes).toMatchObject([{ kind: 'add-field', column: 'cost', fieldId: 4 }]);
    expect(shown(evolution)).toContain('3 price float');
  });

  it('takes a former column once: a second claim is a new column', () => {
    const both = new Map([
      ['cost', ['price']],
      ['fee', ['price']],
    ]);
    const evolution = plan(base(), [...columns, field('fee', 'float')], { formerNames: both });
    expect(evolution.changes).toMatchObject([
      { kind: 'rename-field', column: 'cost', from: 'price' },
      { kind: 'widen-type', column: 'cost' },
      { kind: 'add-field', column: 'fee', fieldId: 4 },
    ]);
  });

  it('is the column of the first former name that is no other’s', () => {
    const columnsNow = [field('price', 'float'), field('cost', 'double')];
    const table = tableOf([field('price', 'float'), field('amount', 'double')]);
    const names = new Map([['cost', ['price', 'amount']]]);
    expect(plan(table, columnsNow, { formerNames: names }).changes).toMatchObject([
      { kind: 'rename-field', column: 'cost', from: 'amount' },
    ]);
  });

  it('is refused where it would differ from another by case alone, and may differ so from its own', () => {
    const table = tableOf([field('price', 'float'), field('cost', 'double')]);
    const names = new Map([['Cost', ['price', 'cost']]]);
    const wanted = [field('Cost', 'double')];
    const { changes, refused } = plan(table, wanted, { formerNames: names });
    expect(changes).toMatchObject([{ kind: 'rename-field', column: 'Cost', from: 'cost' }]);
    expect(refused).toEqual([]);
    const beside = plan(table, wanted, { formerNames: new Map([['Cost', ['price']]]) });
    expect(beside.changes).toEqual([]);
    expect(beside.refused).toMatchObject([
      {
        by: 'table',
        column: 'Cost',
        reason: expect.stringContaining('beside cost in the table') as string,
      },
    ]);
  });

  it('has none beside it that is still written', () => {
    const { changes } = plan(base(), [...sameColumns, field('cost', 'double')], {
      formerNames: new Map([['cost', ['price']]]),
    });
    expect(changes).toEqual([{ kind: 'add-field', column: 'cost', fieldId: 4, type: 'double' }]);
  });

  it('is the column of its own name where the table has that already', () => {
    const table = tableOf([field('price', 'float'), field('cost', 'double')]);
    const evolution = plan(table, [field('cost', 'double')], { formerNames });
    expect(evolution.changes).toEqual([]);
  });

  it('renamed back makes the earlier schema current again, which catalogs do not add twice', () => {
    const table = base();
    const there = evolved(
      table,
      plan(table, columns.with(2, field('cost', 'float')), { formerNames }),
    );
    const back = new Map([['price', ['cost']]]);
    const evolution = plan(there, sameColumns, { formerNames: back });
    expect(evolution.updates).toEqual([{ action: 'set-current-schema', schemaId: 0 }]);
    expect(evolved(there, evolution).currentSchemaId).toBe(0);
  });
});

describe('nested columns', () => {
  it('get ids of their own in the order of the reference: each level before what is within', () => {
    const address = struct(
      field('city', 'string'),
      field('tags', list('string')),
      field('x', 'int'),
    );
    const evolution = plan(base(), [
      ...sameColumns,
      field('address', address),
      field('m', map('int')),
    ]);
    expect(shown(evolution).slice(3)).toEqual([
      '4 address {type:struct,fields:[{id:5,name:city,required:false,type:string},' +
        '{id:6,name:tags,required:false,type:{type:list,elementId:8,element:string,elementRequired:false}},' +
        '{id:7,name:x,required:false,type:int}]}',
      '9 m {type:map,keyId:10,key:string,valueId:11,value:int,valueRequired:false}',
    ]);
    expect(evolution.lastColumnId).toBe(11);
    evolved(base(), evolution);
  });

  it('gain fields, within items and values too, and never lose one', () => {
    const table = tableOf([
      field('items', list(struct(field('sku', 'string', true), field('n', 'int')), true)),
      field('labels', map(struct(field('by', 'string')))),
    ]);
    const evolution = plan(table, [
      field('items', list(struct(field('n', 'long'), field('price', 'double', true)))),
      field('labels', map(struct(field('by', 'string'), field('at', 'date')))),
    ]);
    const last = highestFieldId(table.schemas[0] ?? { schemaId: 0, fields: [] });
    expect(evolution.refused).toEqual([]);
    expect(evolution.changes).toMatchObject([
      { kind: 'make-optional', column: 'items[]' },
      { kind: 'drop-field', column: 'items[].sku' },
      { kind: 'widen-type', column: 'items[].n', from: 'int', to: 'long' },
      { kind: 'add-field', column: 'items[].price', fieldId: last + 1 },
      { kind: 'add-field', column: 'labels{}.at', fieldId: last + 2 },
    ]);
    const after = evolved(table, evolution);
    const again = plan(after, [
      field('items', list(struct(field('n', 'long'), field('price', 'double', true)))),
    ]);
    expect(again.changes).toEqual([]);
  });

  it('ask what is allowed of the outermost column', () => {
    const table = tableOf([
      field('a', struct(field('x', 'int'))),
      field('b', struct(field('x', 'int'))),
    ]);
    const wider = struct(field('x', 'int'), field('y', 'int'));
    const { changes, refused } = plan(table, [field('a', wider), field('b', wider)], {
      allows: (column) => column === 'b',
    });
    expect(changes).toMatchObject([{ kind: 'add-field', column: 'b.y' }]);
    expect(refused).toMatchObject([{ kind: 'add-field', by: 'policy', column: 'a.y' }]);
  });

  it('do not change their kind, nor the keys of a map', () => {
    const table = tableOf([field('a', list('int')), field('m', map('int'))]);
    const wanted = [field('a', map('int')), field('m', { ...map('int'), key: 'long' })];
    const { changes, refused } = plan(table, wanted);
    expect(changes).toEqual([]);
    expect(refused).toMatchObject([
      { column: 'a', reason: 'is a list in the table and cannot become a map' },
      { column: 'm{key}', reason: 'is string in the table and cannot become long' },
    ]);
  });
});

it('a table without a current schema is told as such', () => {
  expect(() => plan({ ...base(), currentSchemaId: 7 }, sameColumns)).toThrowError(
    expect.objectContaining({ kind: 'config' }),
  );
});
