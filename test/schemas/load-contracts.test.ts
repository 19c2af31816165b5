import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { contractFields } from '../../schemas/contract-field.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { contractOf } from './avro-encoding.ts';

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
    ['{"type":"record","name":"R","fields":[{"name":"a"}]}', 'an Avro type is'],
  ])('%s is refused: %s', async (text, message) => {
    await expect(loadText(text)).rejects.toMatchObject({ kind: 'config' });
    await expect(loadText(text)).rejects.toThrow(message);
  });
});

describe('a field that cannot be a column', () => {
  const enumOf = { type: 'enum', name: 'E', symbols: ['A'] };

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
