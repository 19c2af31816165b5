import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import type { SourceColumn } from '../../../connectors/source-columns.ts';
import { checkSourceColumns } from '../../../enrich/config/check-source-columns.ts';
import type { DimensionConfig } from '../../../enrich/config/pipeline-config.ts';
import type { ContractFinding } from '../../../schemas/contract-finding.ts';
import { ByteWriter } from '../../../enrich/state/byte-writer.ts';
import { ValueRefused, columnCodec } from '../../../enrich/state/column-codec.ts';
import { contractOf } from '../../schemas/avro-encoding.ts';

const dimension: DimensionConfig = {
  name: 'users',
  topic: 'app.public.users',
  contract: 'user',
  primaryKey: 'id',
  joinKey: 'id',
  streamField: 'user_id',
  normaliser: 'none',
  columns: ['n'],
  prefix: 'user_',
  evolution: { policy: 'ignore', allow: new Set() },
};

const idColumn: SourceColumn = { name: 'id', form: 'long', type: 'long' };

function findings(type: unknown, columns: readonly SourceColumn[]): ContractFinding[] {
  const contract = contractOf([
    { name: 'id', type: 'long' },
    { name: 'n', type: ['null', type], default: null },
    { name: 'unused', type: 'int' },
  ]);
  return checkSourceColumns({ dimension, contract, columns, against: 'version 1' });
}

function check(type: unknown, columns: readonly SourceColumn[]): string[] {
  return findings(type, columns).map(
    ({ severity, breaks, field, message }) => `${severity}, ${breaks}: ${field} ${message}`,
  );
}

const column = (form: SourceColumn['form'], type: string = form): SourceColumn[] => [
  idColumn,
  { name: 'n', form, type },
];
const decimal = (precision: number, scale: number): object => ({
  type: 'bytes',
  logicalType: 'decimal',
  precision,
  scale,
});
const numeric = (precision: number, scale: number): SourceColumn[] => [
  idColumn,
  { name: 'n', form: 'decimal', type: 'numeric', digits: { precision, scale } },
];
const logical = (type: string, logicalType: string): object => ({ type, logicalType });

describe('a source column that fits the contract', () => {
  it.each<[string, unknown, SourceColumn[]]>([
    ['text', 'string', column('text')],
    ['a uuid as text', 'string', column('uuid')],
    ['a narrower number', 'long', column('int')],
    [
      'a timestamp in any of Debezium’s forms',
      logical('long', 'timestamp-micros'),
      column('instant'),
    ],
    ['a date', logical('int', 'date'), column('date')],
    ['a decimal with fewer digits', decimal(12, 2), numeric(6, 2)],
    ['a decimal with as many', decimal(12, 2), numeric(12, 2)],
    ['bytes', 'bytes', column('bytes')],
  ])('%s', (_what, type, columns) => {
    expect(check(type, columns)).toEqual([]);
  });
});

describe('a source column that does not fit', () => {
  it.each<[string, unknown, SourceColumn[], RegExp]>([
    [
      'another type',
      'string',
      column('int'),
      /^breaking, the dimension: n is string by the contract and int at the source/,
    ],
    [
      'a wider number',
      'int',
      column('long'),
      /^breaking, the dimension: n .* that does not fit is a reject/,
    ],
    ['a wide number for a real one', 'double', column('long'), /^breaking.*every change/],
    [
      'another meaning',
      logical('long', 'timestamp-micros'),
      column('date', 'io.debezium.time.Date'),
      /^breaking.*io.debezium.time.Date/,
    ],
    ['more digits', decimal(12, 2), numeric(14, 2), /^breaking.*does not fit/],
    ['more places', decimal(12, 2), numeric(12, 4), /^breaking.*does not fit/],
    [
      'text for a uuid',
      logical('string', 'uuid'),
      column('text'),
      /^note, nobody: n .*does not fit/,
    ],
    ['an array', 'string', column('nested', 'array'), /^breaking.*array at the source/],
  ])('%s', (_what, type, columns, message) => {
    expect(check(type, columns)).toEqual([expect.stringMatching(message)]);
  });

  it.each<[string, unknown, SourceColumn[], RegExp]>([
    ['more digits', decimal(12, 2), numeric(14, 2), /^make the field decimal\(14, 2\), as it is/],
    [
      'another scale',
      decimal(12, 2),
      numeric(14, 4),
      /^change the column at the source, .* the table has user_n already, that cannot become/,
    ],
    ['another type', 'string', column('int'), /a column of that type under another name/],
    ['a wider number', 'int', column('long'), /^make the field long, as it is at the source/],
  ])('says how the table can hold it: %s', (_what, type, columns, instead) => {
    expect(findings(type, columns).map((each) => each.instead)).toEqual([
      expect.stringMatching(instead),
    ]);
  });

  it('of a key alone may be given its type: no column has it', () => {
    const columns: SourceColumn[] = [
      { name: 'id', form: 'text', type: 'string' },
      { name: 'n', form: 'int', type: 'int' },
    ];
    expect(findings('int', columns).map((each) => each.instead)).toEqual([
      'change the column at the source, or give the field the type that it has there',
    ]);
  });

  it('names a decimal as contracts do', () => {
    expect(check(decimal(12, 2), numeric(14, 4))).toEqual([
      expect.stringContaining(
        'n is decimal(12, 2) by the contract and decimal(14, 4) at the source',
      ),
    ]);
  });

  it('as it is not there, names the column that stays null', () => {
    expect(check('int', [idColumn])).toEqual([
      expect.stringMatching(
        /^breaking, the table: n is not among the columns of app.public.users: column user_n stays null/,
      ),
    ]);
  });

  it('as a key is not there, says that nothing can be taken', () => {
    expect(check('int', column('int').slice(1))).toEqual([
      expect.stringMatching(/^breaking, the dimension: id is a key/),
    ]);
  });
});

function isTaken(type: PrimitiveType, value: unknown): boolean {
  try {
    columnCodec(type).write(new ByteWriter(64), value);
    return true;
  } catch (error) {
    if (error instanceof ValueRefused) return false;
    throw error;
  }
}

const told = (type: unknown, form: string): string => {
  const [line = ''] = check(type, column(form as SourceColumn['form']));
  if (line === '') return 'all';
  return line.includes('every change') ? 'none' : 'some';
};

const seenAs = (taken: number, count: number): string => {
  if (taken === 0) return 'none';
  return taken === count ? 'all' : 'some';
};

describe('the verdict on a form', () => {
  const uuidText = '00000000-0000-4000-8000-000000000000';
  /** Canonical values; dates and times are refused by what they mean, not by what they are. */
  const samples: Readonly<Partial<Record<SourceColumn['form'], readonly unknown[]>>> = {
    text: ['abc', '12.5', uuidText],
    uuid: [uuidText],
    boolean: [true],
    int: [1, 100_000],
    long: [1n, 2n ** 62n],
    real: [0.5],
    bytes: [new Uint8Array(3), new Uint8Array(16)],
    decimal: [{ unscaled: 1n, scale: 0 }],
    nested: [[1]],
  };
  const types: readonly (readonly [PrimitiveType, unknown])[] = [
    ['string', 'string'],
    ['boolean', 'boolean'],
    ['int', 'int'],
    ['long', 'long'],
    ['float', 'float'],
    ['double', 'double'],
    ['date', logical('int', 'date')],
    ['time', logical('long', 'time-micros')],
    ['timestamptz', logical('long', 'timestamp-micros')],
    ['timestamp', logical('long', 'local-timestamp-micros')],
    ['uuid', logical('string', 'uuid')],
    ['binary', 'bytes'],
    ['fixed[3]', { type: 'fixed', name: 'F', size: 3 }],
    ['decimal(4, 2)', decimal(4, 2)],
  ];

  it.each(types)('is what the state makes of its values: %s', (tableType, type) => {
    for (const [form, values] of Object.entries(samples)) {
      const taken = values.filter((value) => isTaken(tableType, value)).length;
      const verdict = seenAs(taken, values.length);
      expect({ form, verdict: told(type, form) }).toEqual({ form, verdict });
    }
  });
});
