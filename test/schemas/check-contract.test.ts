import { describe, expect, it } from 'vitest';
import { checkColumns, checkRecords } from '../../schemas/check-contract.ts';
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

/** What becomes of the columns, as lines. */
function columns(older: unknown[], newer: unknown[], carried?: readonly string[]): string[] {
  const before = { label: 'main', avroSchema: recordOf(older) };
  const place = { table: 'lake.clicks', columnOf: (field: string) => `c_${field}` };
  const findings = checkColumns(contractOf(newer), before, {
    ...place,
    ...(carried === undefined ? {} : { carried }),
  });
  return findings.map(line);
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

const linesFields = (...fields: object[]): unknown[] => [
  {
    name: 'lines',
    type: { type: 'array', items: { type: 'record', name: 'Line', fields } },
  },
];

const tagsOf = (values: unknown) => ({ name: 'tags', type: { type: 'map', values } });

describe('a column', () => {
  it.each<[string, unknown[], unknown[], RegExp]>([
    [
      'comes',
      [id],
      [id, { name: 'n', type: optional('int') }],
      /^nobody: n the table needs a column c_n \(int\)/,
    ],
    [
      'goes',
      [id, { name: 'n', type: optional('int') }],
      [id],
      /^nobody: n is gone: column c_n stays/,
    ],
    [
      'goes that is required',
      [id, { name: 'n', type: 'int' }],
      [id],
      /^the table: n is gone, but column c_n is required/,
    ],
    [
      'is renamed',
      n('int'),
      [{ name: 'm', type: 'int', aliases: ['n'] }],
      /^queries: m was named n: .* column c_n/,
    ],
    [
      'becomes optional',
      n('int'),
      n(optional('int')),
      /^nobody: n column c_n may become null.*alter table lake.clicks alter column c_n drop not null/,
    ],
    ['is widened', n('int'), n('long'), /^nobody: n column c_n becomes long from int/],
    [
      'gets more digits',
      n(decimal(6, 2)),
      n(decimal(12, 2)),
      /^nobody: n .*decimal\(12, 2\) from decimal\(6, 2\)/,
    ],
    [
      'gets fewer digits',
      n(decimal(12, 2)),
      n(decimal(6, 2)),
      /^the table: n .*cannot become decimal\(6, 2\)/,
    ],
    [
      'gets another scale',
      n(decimal(12, 2)),
      n(decimal(12, 4)),
      /^the table: n .*cannot become decimal\(12, 4\)/,
    ],
    [
      'is narrowed',
      n('long'),
      n('int'),
      /^the table: n column c_n is long in the table and cannot become int/,
    ],
    [
      'loses its meaning',
      n(logical('long', 'timestamp-millis')),
      n('long'),
      /^the table: n column c_n is timestamptz .* become long/,
    ],
    [
      'turns local',
      n(logical('long', 'timestamp-micros')),
      n(logical('long', 'local-timestamp-micros')),
      /^the table: n .*become timestamp$/,
    ],
    [
      'gets another unit',
      n(logical('long', 'timestamp-millis')),
      n(logical('long', 'timestamp-micros')),
      /^old readers: n was timestamp-millis and is timestamp-micros now/,
    ],
    ['of text becomes one of bytes', n('string'), n('bytes'), /^the table: n column c_n is string/],
  ])('%s', (_what, older, newer, message) => {
    expect(columns(older, newer)).toEqual([expect.stringMatching(message)]);
  });

  it.each<[string, unknown[], unknown[]]>([
    ['documentation changes', n('int'), [{ name: 'n', type: 'int', doc: 'N.' }]],
    ['required', n(optional('int')), n('int')],
    ['an enum of text', n({ type: 'enum', name: 'E', symbols: ['A'] }), n('string')],
  ])('stays where it becomes %s', (_what, older, newer) => {
    expect(columns(older, newer)).toEqual([]);
  });

  it('is told of a dimension only where it is carried, and may always be null', () => {
    const older = [id, { name: 'a', type: 'int' }, { name: 'b', type: 'int' }];
    const newer = [id, { name: 'a', type: 'string' }, { name: 'b', type: optional('long') }];
    expect(columns(older, newer, ['b'])).toEqual([
      expect.stringMatching(/^nobody: b column c_b becomes long from int/),
    ]);
  });

  it('of a dimension does not depend on the unit: no record is written with its contract', () => {
    const [older, newer] = ['millis', 'micros'].map((unit) =>
      n(logical('long', `timestamp-${unit}`)),
    );
    expect(columns(older ?? [], newer ?? [], ['n'])).toEqual([]);
  });

  it('within a record, a list or a map is told by its path, each in its own way', () => {
    const older = linesFields(
      tagsOf('int'),
      { name: 'sku', type: 'string' },
      { name: 'n', type: 'int' },
    );
    const newer = linesFields(
      tagsOf(optional('long')),
      { name: 'code', type: 'string', aliases: ['sku'] },
      { name: 'text', type: { type: 'array', items: 'string' } },
    );
    expect(columns(older, newer)).toEqual([
      expect.stringMatching(
        /^nobody: lines\[\].tags\{\} column c_lines\[\].tags\{\} may become null.* with Spark/,
      ),
      expect.stringContaining('column c_lines[].tags{} becomes long from int'),
      expect.stringContaining('lines[].code was named lines[].sku'),
      expect.stringContaining('the table needs a column c_lines[].text (list<string>)'),
      expect.stringMatching(/^the table: lines\[\].n is gone/),
    ]);
    expect(columns(older, [{ name: 'lines', type: { type: 'array', items: 'string' } }])).toEqual([
      expect.stringMatching(
        /^the table: lines\[\] column .* is struct<.*> in the table and cannot become string$/,
      ),
    ]);
  });

  it('of an older schema that could be no table is not told of', () => {
    expect(columns([{ name: 'tags', type: ['int', 'string'] }], [id])).toEqual([]);
  });
});
