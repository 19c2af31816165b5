import { describe, expect, it } from 'vitest';
import { contractFields } from '../../schemas/contract-field.ts';
import type { AvroField, AvroObject, AvroType, Contract } from '../../schemas/contract.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { evolveContract, isSameSort, schemaChanges } from '../../schemas/schema-change.ts';
import { avscType } from './avro-encoding.ts';

const time = { type: 'long', logicalType: 'timestamp-millis' };
const decimal = (precision: number, scale = 2): AvroObject => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  scale,
});
const fixed = (name: string, precision: number): AvroObject => ({
  ...decimal(precision),
  type: 'fixed',
  name,
  size: 8,
});
const colours = (...symbols: string[]): AvroObject => ({ type: 'enum', name: 'Colour', symbols });

function contractOf(...fields: AvroField[]): Contract {
  const own: AvroField[] = [{ name: 'at', type: time }, ...fields];
  return { name: 'event', avroSchema: { type: 'record', name: 'Event', fields: own } };
}

function writerOf(...fields: AvroField[]): AvroObject {
  return contractOf(...fields).avroSchema;
}

/** `kind field` of each change; a change that no column can follow is marked. */
function kinds(contract: Contract, writer: AvroObject): string[] | undefined {
  return schemaChanges(contract, writer).map(
    ({ kind, field, follow }) => `${kind} ${field}${follow === undefined ? ' (no)' : ''}`,
  );
}

function followed(contract: Contract, writer: AvroObject): Contract {
  return evolveContract(contract, schemaChanges(contract, writer));
}

/** The type of x, with a mark where it may be null. */
function columnOf(contract: Contract): string {
  const found = contractFields(contract).find(({ name }) => name === 'x');
  const type = typeof found?.tableType === 'string' ? found.tableType : 'nested';
  return `${type}${found?.nullable === true ? '?' : ''}`;
}

const field = (type: AvroType, more: Partial<AvroField> = {}): AvroField => ({
  name: 'x',
  type,
  ...more,
});

describe('a difference between a contract and a writer', () => {
  it.each<[string, AvroField[], AvroField[], string[]]>([
    ['a field more', [], [field('string')], ['add-field x']],
    ['a nullable field more', [], [field(['null', 'int'])], ['add-field x']],
    ['a union more, which is no column', [], [field(['int', 'string'])], ['add-field x (no)']],
    ['int to long', [field('int')], [field('long')], ['widen-type x']],
    [
      'int to nullable long',
      [field('int')],
      [field(['null', 'long'])],
      ['widen-type x', 'make-optional x'],
    ],
    [
      'nullable int to nullable long',
      [field(['null', 'int'])],
      [field(['null', 'long'])],
      ['widen-type x'],
    ],
    ['float to double', [field('float')], [field('double')], ['widen-type x']],
    ['more digits', [field(decimal(5))], [field(decimal(9))], ['widen-type x']],
    ['more symbols', [field(colours('a'))], [field(colours('a', 'b'))], ['widen-type x']],
    [
      'more symbols, which the contract has a default for',
      [field({ ...colours('a'), default: 'a' })],
      [field(colours('b'))],
      ['widen-type x'],
    ],
    [
      'null where the contract has none',
      [field('int')],
      [field(['int', 'null'])],
      ['make-optional x'],
    ],
    ['a field less, without a default', [field('int')], [], ['drop-field x']],
    ['another scale', [field(decimal(5))], [field(decimal(9, 3))], ['change-type x (no)']],
    ['text for a number', [field('int')], [field('string')], ['change-type x (no)']],
    ['a number for text', [field('string')], [field('int')], ['change-type x (no)']],
    ['long to double', [field('long')], [field('double')], ['change-type x (no)']],
    ['text beside a number', [field('int')], [field(['int', 'string'])], ['change-type x (no)']],
    [
      'another name, which has the old one as an alias',
      [field('int')],
      [{ name: 'y', type: 'int', aliases: ['x'] }],
      ['rename-field x'],
    ],
    [
      'another name and another type',
      [field('int')],
      [{ name: 'y', type: 'string', aliases: ['x'] }],
      ['rename-field x (no)'],
    ],
  ])('%s', (_, contract, writer, expected) => {
    expect(kinds(contractOf(...contract), writerOf(...writer))).toEqual(expected);
  });

  it.each<[string, AvroField[], AvroField[]]>([
    ['nothing', [field('int')], [field('int')]],
    ['documentation', [field('int')], [field('int', { doc: 'a number' })]],
    [
      'the order',
      [field('int'), { name: 'y', type: 'int' }],
      [{ name: 'y', type: 'int' }, field('int')],
    ],
    [
      'an alias that the contract has',
      [field('int', { aliases: ['y'] })],
      [{ name: 'y', type: 'int' }],
    ],
    [
      'the name of an enumeration',
      [field(colours('a'))],
      [field({ ...colours('a'), name: 'Color' })],
    ],
    ['fewer symbols', [field(colours('a', 'b'))], [field(colours('a'))]],
    ['a narrower type', [field('long')], [field('int')]],
    ['fewer digits', [field(decimal(9))], [field(decimal(5))]],
    ['a required value where null may be', [field(['null', 'int'])], [field('int')]],
    ['another unit of time', [], []],
    ['a field less, with a default', [field('int', { default: 1 })], []],
    ['a field less, with a default of null', [field(['null', 'int'], { default: null })], []],
  ])('is none: %s', (_, contract, writer) => {
    expect(kinds(contractOf(...contract), writerOf(...writer))).toEqual([]);
  });

  it('is none in the unit of a time', () => {
    const micros = { type: 'long', logicalType: 'timestamp-micros' };
    const writer = { type: 'record', name: 'Event', fields: [{ name: 'at', type: micros }] };
    expect(kinds(contractOf(), writer)).toEqual([]);
  });

  it.each<[string, AvroObject, boolean]>([
    ['of the same name', { type: 'record', name: 'other.Event', fields: [] }, true],
    ['that has all that is required', { ...writerOf(field('int')), name: 'Envelope' }, true],
    [
      'of another name and other fields',
      { type: 'record', name: 'Envelope', fields: [field('int')] },
      false,
    ],
    ['that is no record', { type: 'string' }, false],
    ['that is no schema', { type: 'record', name: 'Event' }, false],
  ])('is looked for in a schema %s', (_, writer, expected) => {
    expect(isSameSort(contractOf(), writer)).toBe(expected);
  });
});

function address(...fields: AvroField[]): AvroObject {
  return { type: 'record', name: 'Address', fields };
}

const zip = (type: AvroType): AvroField => ({ name: 'zip', type });

function amount(name: string, precision: number): AvroObject {
  return { ...decimal(precision), type: 'fixed', name, size: 8 };
}

const items = (type: AvroType): AvroObject => ({ type: 'array', items: type });
const values = (type: AvroType): AvroObject => ({ type: 'map', values: type });
const city: AvroField = { name: 'city', type: 'string' };

describe('a difference within a nested type', () => {
  it.each<[string, AvroType, AvroType, string[]]>([
    ['a field more', address(city), address(city, zip('int')), ['add-field x.zip']],
    [
      'a field more, in items that may be null',
      items(['null', address(city)]),
      ['null', items(address(city, zip('int')))],
      ['make-optional x', 'add-field x[].zip'],
    ],
    [
      'a field more, which is no column',
      address(city),
      address(city, zip(['int', 'string'])),
      ['add-field x.zip (no)'],
    ],
    ['wider values', ['null', values('int')], values('long'), ['widen-type x{}']],
    [
      'wider values that may be null',
      values('int'),
      values(['null', 'long']),
      ['widen-type x{}', 'make-optional x{}'],
    ],
    ['items that may be null', items('string'), items(['null', 'string']), ['make-optional x[]']],
    ['more symbols in items', items(colours('a')), items(colours('b')), ['widen-type x[]']],
    [
      'a field less, in a record of a record',
      address({ name: 'in', type: { ...address(city, zip('int')), name: 'In' } }),
      address({ name: 'in', type: { ...address(zip('int')), name: 'In' } }),
      ['drop-field x.in.city'],
    ],
    [
      'another name, which has the old one as an alias',
      address(zip('int'), city),
      address({ name: 'code', type: 'int', aliases: ['zip'] }, city),
      ['rename-field x.zip'],
    ],
    ['another type', address(zip('int')), address(zip('string')), ['change-type x.zip (no)']],
    ['another sort of nesting', items('int'), values('int'), ['change-type x (no)']],
    ['items of no bytes', items(['null', 'int']), items('null'), ['change-type x (no)']],
    [
      'all of it',
      address(zip(items(values('int')))),
      address(zip(['null', items(['null', values(['null', 'long'])])]), city),
      [
        'widen-type x.zip[]{}',
        'make-optional x.zip[]{}',
        'make-optional x.zip[]',
        'make-optional x.zip',
        'add-field x.city',
      ],
    ],
  ])('%s', (_, contract, writer, expected) => {
    const [before, schema] = [contractOf(field(contract)), writerOf(field(writer))];
    expect(kinds(before, schema)?.toSorted()).toEqual(expected.toSorted());
    const after = followed(before, schema);
    const left = expected.filter((text) => text.endsWith(' (no)'));
    expect(kinds(after, schema), 'and what is followed is none any more').toEqual(left);
    expect(kinds(after, before.avroSchema), 'nor has its own').toEqual([]);
  });

  it.each<[string, AvroType, AvroType]>([
    ['the order', address(city, zip('int')), address(zip('int'), city)],
    ['a field less, with a default', address(city, { ...zip('int'), default: 0 }), address(city)],
    ['a narrower type', values('long'), values('int')],
    [
      'one type of several',
      address(city),
      [address(city), { ...address(city, zip('int')), name: 'Other' }],
    ],
  ])('is none: %s', (_, contract, writer) => {
    expect(kinds(contractOf(field(contract)), writerOf(field(writer)))).toEqual([]);
  });

  it('is told with its path and its types', () => {
    const contract = contractOf(field(items(address(zip('int'), city))));
    const writer = writerOf(field(items(address(zip('string'), { ...city, type: items('int') }))));
    expect(schemaChanges(contract, writer)).toEqual([
      { kind: 'change-type', field: 'x[].zip', what: 'is string, which cannot be read as int' },
      {
        kind: 'change-type',
        field: 'x[].city',
        what: 'is an array, which cannot be read as string',
      },
    ]);
  });

  it('leaves a type of that name elsewhere as it is', () => {
    const contract = contractOf(field(items(address(zip('int')))), { name: 'y', type: 'Address' });
    const wide = field(items(address(zip('long'), city)));
    const after = followed(
      contract,
      writerOf(wide, { name: 'y', type: { ...address(zip('int')), name: 'Y' } }),
    );
    const [before, now] = [contract, after].map((one) => contractFields(one).at(-1));
    expect(now).toEqual(before);
  });
});

describe('a type that the contract names more than once', () => {
  it.each<[string, AvroObject, AvroObject, string]>([
    ['an enumeration', colours('a'), colours('a', 'b'), 'string'],
    ['a fixed of another name', amount('Amount', 9), amount('Money', 12), 'decimal(12, 2)'],
  ])('changes in the field that changes alone: %s', (_, own, wider, column) => {
    const y = { name: 'y', type: own['name'] as string };
    const contract = contractOf(field(own), y);
    const after = followed(contract, writerOf(field(wider), { name: 'y', type: own }));
    expect(columnOf(after)).toBe(column);
    const [before, now] = [contract, after].map((one) => contractFields(one).at(-1));
    expect(now).toEqual(before);
  });
});

describe('a contract that follows', () => {
  it.each<[string, AvroField[], AvroField[], string]>([
    ['a new field, which rows of before lack', [], [field('string')], 'string?'],
    ['a wider type', [field('int')], [field('long')], 'long'],
    [
      'a wider type of an optional field',
      [field(['null', 'int'], { default: null })],
      [field('long')],
      'long?',
    ],
    ['a wider type and null', [field('float')], [field(['null', 'double'])], 'double?'],
    ['more digits', [field(decimal(5))], [field(decimal(9))], 'decimal(9, 2)'],
    [
      'the widest of several types',
      [field(fixed('F', 5))],
      [field([fixed('F', 14), fixed('G', 12)])],
      'decimal(14, 2)',
    ],
    [
      'the symbols of several types',
      [field(colours('a'))],
      [field([colours('a', 'b'), { ...colours('a', 'c'), name: 'Other' }])],
      'string',
    ],
    ['null', [field('int')], [field(['null', 'int'])], 'int?'],
    ['a field that is gone', [field('int')], [], 'int?'],
    [
      'a named type that is defined elsewhere',
      [],
      [{ name: 'y', type: colours('a') }, field('Colour')],
      'string?',
    ],
  ])('%s', (_, contract, writer, column) => {
    const [before, schema] = [contractOf(...contract), writerOf(...writer)];
    const after = followed(before, schema);
    expect(columnOf(after)).toBe(column);
    expect(schemaChanges(after, schema), 'and has nothing left to follow').toEqual([]);
    expect(schemaChanges(after, before.avroSchema), 'nor from its own').toEqual([]);
  });

  it('reads a field under its new name into the column of its old one', () => {
    const writer = writerOf({ name: 'y', type: 'int', aliases: ['x'] });
    const contract = followed(contractOf(field('int')), writer);
    const rows = createRowBuffer(contract, 2);
    for (const [schema, record] of [
      [writer, { at: 0, y: 7 }],
      [contractOf(field('int')).avroSchema, { at: 0, x: 8 }],
    ] as const) {
      const bytes = avscType(schema).toBuffer(record);
      expect(
        createRowDecoder(contract, schema).append(bytes, 0, bytes.length, rows),
      ).toBeUndefined();
    }
    const column = rows.columns[1];
    expect(column?.kind === 'int32' && [...column.values]).toEqual([7, 8]);
  });
});
