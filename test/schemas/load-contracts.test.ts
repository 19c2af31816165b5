import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { contractFields } from '../../schemas/contract-field.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { contractOf } from './avro-encoding.ts';
import { invalidContracts, validContracts } from './corpus/contract-files.ts';
import { arraysWithin, recordsOfTwo, recordsWithin } from './deep-schemas.ts';

const inGit = join(import.meta.dirname, '../../schemas');

async function loadText(text: string): Promise<unknown> {
  const directory = await mkdtemp(join(tmpdir(), 'contracts-'));
  await writeFile(join(directory, 'order.avsc'), text);
  return loadContract(directory, 'order');
}

describe('contracts', () => {
  it.each(['click', 'user', 'device', 'url'])('%s in git is valid', async (name) => {
    const contract = await loadContract(inGit, name);
    expect(contract.name).toBe(name);
    expect(contractFields(contract).length).toBeGreaterThan(3);
  });

  it.each(['../click', 'nothing', ''])('%j is refused by name', async (name) => {
    await expect(loadContract(inGit, name)).rejects.toMatchObject({ kind: 'config' });
  });

  it.each([
    ['{', 'is not JSON'],
    ['"string"', 'contract order: it is a string, not a record'],
    ['{"type":"record","name":"R"}', 'record R has no fields'],
    ['{"type":"record","name":"R","fields":[]}', 'has no fields'],
    [
      '{"type":"record","name":"R","fields":[{"name":"a"}]}',
      'order.avsc: invalid Avro schema: field a: an Avro type is',
    ],
    ['{"type":"record","name":"R","fields":[null]}', 'Avro type or field lacks its name'],
  ])('%s is refused: %s', async (text, message) => {
    await expect(loadText(text)).rejects.toMatchObject({ kind: 'config' });
    await expect(loadText(text)).rejects.toThrow(message);
  });

  it.each(invalidContracts)('$name is no Avro: $says', async ({ avroSchema, says }) => {
    const loading = loadText(JSON.stringify(avroSchema));
    await expect(loading).rejects.toMatchObject({ kind: 'config' });
    const { message } = await loading.then(
      () => new Error('it is taken'),
      (error: Error) => error,
    );
    expect(message.slice(message.lastIndexOf('/') + 1)).toBe(`order.avsc: ${says}`);
  });

  it.each(validContracts)('$name is Avro', async ({ avroSchema }) => {
    await expect(loadText(JSON.stringify(avroSchema))).resolves.toMatchObject({ avroSchema });
  });

  it.each([
    ['arrays', arraysWithin(6_000), 'types are nested too deeply'],
    ['named records', recordsWithin(1_000), 'field f399.inner: types are nested too deeply'],
    ['records of two', recordsOfTwo(30), 'field f15: record T15 holds more than 100000 types'],
  ])('of any depth or size are refused in words: %s', async (_name, text, message) => {
    await expect(loadText(text)).rejects.toMatchObject({ kind: 'config' });
    await expect(loadText(text)).rejects.toThrow(`order.avsc: invalid Avro schema: ${message}`);
  });
});

const fixedOf = (size: number) => ({ type: 'fixed', name: 'F', size });
const decimalOf = (type: object | string) => ({
  ...(typeof type === 'string' ? { type } : type),
  logicalType: 'decimal',
  precision: 3,
});
const timeOf = (type: string, logicalType: string) => ({ type, logicalType });
const enumOf = { type: 'enum', name: 'E', symbols: ['A'] };
const inner = (type: unknown, value: unknown) => ({
  type: 'record',
  name: 'I',
  fields: [{ name: 'x', type, default: value }],
});
const orderWith = (type: unknown, value?: unknown): string =>
  JSON.stringify({
    type: 'record',
    name: 'Order',
    fields: [{ name: 'total', type, ...(value === undefined ? {} : { default: value }) }],
  });

describe('a default', () => {
  it.each<[unknown, unknown, string]>([
    ['int', 2 ** 40, 'field total has a default of 1099511627776, which is no value of its type'],
    ['int', 1.5, 'total'],
    ['int', '1', 'total'],
    ['long', 2 ** 63, 'total'],
    ['long', 0.5, 'total'],
    ['float', 1e300, 'total'],
    ['double', 'NaN', 'total'],
    ['boolean', 0, 'total'],
    ['string', 1, 'total'],
    ['string', '\ud800', 'total'],
    ['bytes', 'Ā', 'total'],
    [fixedOf(3), 'ab', 'total'],
    [decimalOf('bytes'), '', 'total'],
    [decimalOf('bytes'), '\u0003\u00e8', 'total'],
    [decimalOf(fixedOf(2)), '\u0001', 'total'],
    [enumOf, 'B', 'total'],
    [timeOf('int', 'date'), 2 ** 31 - 1, 'total'],
    [timeOf('int', 'time-millis'), 86_400_000, 'total'],
    [timeOf('long', 'time-micros'), -1, 'total'],
    [timeOf('long', 'timestamp-millis'), 2 ** 53, 'total'],
    [timeOf('long', 'timestamp-micros'), 2 ** 60, 'total'],
    [timeOf('string', 'uuid'), 'no', 'total'],
    [['null', 'int'], 'none', 'total'],
    [{ type: 'array', items: 'int' }, [1, 2 ** 31], 'total'],
    [{ type: 'map', values: enumOf }, { k: 'B' }, 'total'],
    [inner('int', 2 ** 31), undefined, 'field total.x has'],
    [{ type: 'array', items: inner('string', 1) }, undefined, 'field total[].x has'],
    [{ type: 'map', values: ['null', inner('int', {})] }, undefined, 'field total{}.x has'],
  ])('of %j may not be %j', async (type, value, message) => {
    await expect(loadText(orderWith(type, value))).rejects.toMatchObject({ kind: 'config' });
    await expect(loadText(orderWith(type, value))).rejects.toThrow(message);
  });

  it.each<[unknown, unknown]>([
    ['int', -(2 ** 31)],
    ['long', -(2 ** 63)],
    ['float', 3e38],
    ['double', 1e300],
    ['bytes', 'ÿ'],
    [fixedOf(3), 'abc'],
    [decimalOf('bytes'), '\u0003\u00e7'],
    [{ ...enumOf, default: 'A' }, 'A'],
    [timeOf('int', 'date'), -719_162],
    [timeOf('long', 'timestamp-millis'), 253_402_300_799_999],
    [timeOf('string', 'uuid'), '01234567-89ab-cdef-0123-456789abcdef'],
    [['null', 'int'], null],
    [['int', 'null'], 7],
    [inner('int', 1), {}],
  ])('of %j may be %j', async (type, value) => {
    await expect(loadText(orderWith(type, value))).resolves.toMatchObject({ name: 'order' });
  });
});

describe('a field that cannot be a column', () => {
  it.each([
    [['null', 'int', 'string'], 'a union of [null, int, string]'],
    [['int'], 'a union of [int]'],
    ['null', 'can only be null'],
    [{ type: 'array', items: 'null' }, 'field total[] can only be null'],
    [{ type: 'map', values: ['int', 'long'] }, 'field total{} is a union of [int, long]'],
    [{ type: 'record', name: 'R', fields: [] }, 'a record without fields'],
    [
      { type: 'record', name: 'R', fields: [{ name: 'r', type: { type: 'array', items: 'R' } }] },
      'field total.r[] holds the record R, which it is part of',
    ],
    ['Missing', 'the type Missing is not defined'],
    [{ type: 'long', logicalType: 'timestamp-nanos' }, 'logicalType timestamp-nanos'],
    [{ type: 'int', logicalType: 'timestamp-millis' }, 'timestamp-millis on int'],
    [{ type: 'long', logicalType: 'time-millis' }, 'time-millis on long'],
    [{ type: 'bytes', logicalType: 'decimal' }, 'a decimal without a precision'],
    [{ type: 'bytes', logicalType: 'decimal', precision: 39 }, 'a precision above 38'],
    [{ type: 'bytes', logicalType: 'decimal', precision: 4, scale: 5 }, 'has scale 5'],
    [{ type: 'bytes', logicalType: 'uuid' }, 'uuid on bytes'],
    [{ type: 'fixed', name: 'F', size: 0 }, 'a fixed of size 0'],
    [{ type: 'fixed', name: 'F' }, 'fixed F has no size'],
    [{ ...enumOf, symbols: [1] }, 'enum E has no symbols'],
  ])('%j is refused by its reason', (type, message) => {
    const contract = contractOf([{ name: 'total', type }]);
    expect(() => contractFields(contract)).toThrow(message);
    expect(() => contractFields(contract)).toThrow('contract test');
  });

  it('is named', () => {
    const contract = contractOf([{ name: 'total', type: 'null' }]);
    expect(() => contractFields(contract)).toThrow('field total can');
  });

  it('may not default to null unless it is nullable, nor be named twice', () => {
    const nulled = contractOf([{ name: 'a', type: 'int', default: null }]);
    expect(() => contractFields(nulled)).toThrow('default of null');
    const twice = contractOf([
      { name: 'a', type: 'int' },
      { name: 'a', type: 'int' },
    ]);
    expect(() => contractFields(twice)).toThrow('names a field twice');
  });
});
