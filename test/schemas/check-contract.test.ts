import { describe, expect, it } from 'vitest';
import { checkRecords } from '../../schemas/check-contract.ts';
import type { ContractFinding } from '../../schemas/contract-finding.ts';
import type { CompatibilityLevel } from '../../schemas/registry.ts';
import { contractOf, recordOf } from './avro-encoding.ts';

const id = { name: 'id', type: 'long' };
const optional = (type: unknown): unknown => ['null', type];
const logical = (type: string, logicalType: string, more: object = {}): object => ({
  type,
  logicalType,
  ...more,
});
const decimal = (precision: number, scale: number): object =>
  logical('bytes', 'decimal', { precision, scale });

const line = ({ breaks, field, message }: ContractFinding): string =>
  `${breaks}: ${field} ${message}`;

function records(older: unknown[], newer: unknown[], level: CompatibilityLevel): ContractFinding[] {
  return checkRecords(
    contractOf(newer),
    [{ label: 'version 1', avroSchema: recordOf(older) }],
    level,
  );
}

const enumOf = (...symbols: string[]): unknown[] => [
  { name: 'tier', type: { type: 'enum', name: 'Tier', symbols } },
];

/** One field. */
const n = (type: unknown): unknown[] => [{ name: 'n', type }];

describe('what old data loses', () => {
  it.each<[string, unknown[], unknown[], RegExp, RegExp]>([
    [
      'a new field',
      [id],
      [id, { name: 'n', type: 'int' }],
      /^old data: n is new and has no default/,
      /"default": null/,
    ],
    [
      'null',
      [{ name: 'n', type: optional('int') }],
      [{ name: 'n', type: 'int' }],
      /n may not be null any more/,
      /keep it optional/,
    ],
    [
      'a number',
      [id],
      [{ name: 'id', type: 'int' }],
      /id is int now, and long in old records/,
      /widened: int, long, float, double/,
    ],
    ['a type', [id], [{ name: 'id', type: 'boolean' }], /id is boolean now/, /under another name$/],
    ['a symbol', enumOf('A', 'B'), enumOf('A'), /tier has lost the symbol B/, /"default"/],
    [
      'two fields',
      [id, { name: 'key', type: 'long' }],
      [{ ...id, aliases: ['key'] }],
      /several fields of old records: id and key/,
      /"aliases"/,
    ],
    [
      'a size',
      [{ name: 'h', type: { type: 'fixed', name: 'H', size: 4 } }],
      [{ name: 'h', type: { type: 'fixed', name: 'H', size: 8 } }],
      /h has 8 bytes now, and in old records 4/,
      /under another name/,
    ],
    [
      'a name',
      [{ name: 'h', type: { type: 'fixed', name: 'H', size: 4 } }],
      [{ name: 'h', type: { type: 'fixed', name: 'G', size: 4 } }],
      /was named H and is named G now/,
      /add "aliases": \["H"\]/,
    ],
  ])('%s', (_what, older, newer, message, instead) => {
    const found = records(older, newer, 'BACKWARD');
    expect(found.map(line)).toEqual([expect.stringMatching(message)]);
    expect(found[0]).toMatchObject({ severity: 'breaking', against: 'version 1' });
    expect(found[0]?.instead).toMatch(instead);
  });

  it('is nothing under NONE', () => {
    expect(records([id], [{ name: 'id', type: 'boolean' }], 'NONE')).toEqual([]);
  });
});

describe('what old readers lose', () => {
  it.each<[string, unknown[], unknown[], RegExp]>([
    ['a field', [id, { name: 'n', type: 'int' }], [id], /^old readers: n is gone/],
    ['required values', [id], [{ name: 'id', type: optional('long') }], /id may be null now/],
    [
      'a narrow number',
      [{ name: 'id', type: 'int' }],
      [id],
      /id is long now, and old readers take int/,
    ],
  ])('%s', (_what, older, newer, message) => {
    expect(records(older, newer, 'FORWARD').map(line)).toEqual([expect.stringMatching(message)]);
  });
});

const times = (unit: string): unknown[] => {
  const at = { name: 'at', type: logical('long', `timestamp-${unit}`) };
  const item = { type: 'record', name: 'Item', fields: [at] };
  return [at, { name: 'lines', type: { type: 'array', items: item } }];
};

describe('what Avro takes and its readers do not', () => {
  it.each<[string, unknown[], unknown[], RegExp]>([
    [
      'another scale',
      n(decimal(12, 2)),
      n(decimal(12, 4)),
      /^old data: n in old records is decimal\(12, 2\), which cannot be read as decimal\(12, 4\)$/,
    ],
    [
      'another unit',
      n(logical('long', 'timestamp-millis')),
      n(logical('long', 'timestamp-micros')),
      /^old readers: n was timestamp-millis and is timestamp-micros now/,
    ],
  ])('%s', (_what, older, newer, message) => {
    expect(records(older, newer, 'BACKWARD').map(line)).toEqual([expect.stringMatching(message)]);
    expect(records(older, newer, 'NONE')).toEqual([]);
  });

  it('another unit within a list, by its path, also of a field that has a new name', () => {
    const told = records(times('millis'), times('micros'), 'FORWARD').map(line);
    expect(told.map((text) => text.slice(0, text.indexOf(' was ')))).toEqual([
      'old readers: at',
      'old readers: lines[].at',
    ]);
    const renamed = [{ name: 'then', aliases: ['at'], type: logical('long', 'timestamp-micros') }];
    expect(records(times('millis').slice(0, 1), renamed, 'BACKWARD').map(line)).toEqual([
      expect.stringMatching(/^old readers: then was timestamp-millis/),
    ]);
  });

  it.each<[string, unknown[], unknown[]]>([
    ['more digits', n(decimal(6, 2)), n(decimal(12, 2))],
    ['documentation', n('int'), [{ name: 'n', type: 'int', doc: 'N.' }]],
    [
      'more symbols',
      n({ type: 'enum', name: 'E', symbols: ['A'] }),
      n({ type: 'enum', name: 'E', symbols: ['A', 'B'] }),
    ],
  ])('not %s', (_what, older, newer) => {
    expect(records(older, newer, 'BACKWARD')).toEqual([]);
  });

  it('notes fewer digits, since values decide', () => {
    expect(records(n(decimal(12, 2)), n(decimal(9, 2)), 'BACKWARD')).toMatchObject([
      {
        severity: 'note',
        message: expect.stringMatching(
          /^in old records is decimal\(12, 2\), and decimal\(9, 2\) in .*: values that do not fit are refused/,
        ) as string,
      },
    ]);
  });

  it('is told once of a field that Avro does not take either, also within a record', () => {
    expect(records(n('string'), n('int'), 'BACKWARD')).toHaveLength(1);
    const box = (text: unknown, scale: number): unknown[] =>
      n({
        type: 'record',
        name: 'Box',
        fields: [
          { name: 'text', type: text },
          { name: 'price', type: decimal(12, scale) },
        ],
      });
    expect(records(box('string', 2), box('int', 4), 'BACKWARD').map(line)).toEqual([
      expect.stringMatching(/^old data: n.text is int now, and string in old records/),
      expect.stringMatching(/^old data: n.price in old records .*decimal\(12, 4\)$/),
    ]);
  });
});
