/** A value as a producer has it, longs as bigints; and as Trino's client gets it. */
export type TypeValue = readonly [written: unknown, read: unknown];

const bytes = (...of: number[]): Buffer => Buffer.from(of);
const base64 = (...of: number[]): string => bytes(...of).toString('base64');
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/** Big-endian two's complement. */
function decimal(unscaled: bigint, size: number): Buffer {
  const hex = BigInt.asUintN(size * 8, unscaled).toString(16);
  return Buffer.from(hex.padStart(size * 2, '0'), 'hex');
}

const uuidText = '00112233-4455-6677-8899-aabbccddeeff';
const uuidBytes = Buffer.from(uuidText.replaceAll('-', ''), 'hex');
const highUuid = 'ffffffff-ffff-4fff-bfff-ffffffffffff';

const timestamps = (perMs: bigint, zone: string): TypeValue[] => [
  [0n, `1970-01-01 00:00:00.000000${zone}`],
  [-1n * perMs, `1969-12-31 23:59:59.999000${zone}`],
  [-62_135_596_800_000n * perMs, `0001-01-01 00:00:00.000000${zone}`],
  [253_402_300_799_999n * perMs, `9999-12-31 23:59:59.999000${zone}`],
];

const long = 'x'.repeat(1_000);

/** Of each type in docs/contracts-types.md, in the order of that table: ordinary values, empty ones and those at the ends. */
export const typeValues: Readonly<Record<string, readonly TypeValue[]>> = {
  boolean: [
    [true, true],
    [false, false],
  ],
  int: [
    [0, 0],
    [2_147_483_647, 2_147_483_647],
    [-2_147_483_648, -2_147_483_648],
  ],
  long: [
    [0n, 0],
    [2n ** 63n - 1n, 2n ** 63n - 1n],
    [-(2n ** 63n), -(2n ** 63n)],
  ],
  float: [
    [1.5, 1.5],
    [Number.NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [2 ** 127, 1.7014118e38],
  ],
  double: [
    [0.1, 0.1],
    [Number.MAX_VALUE, Number.MAX_VALUE],
    [Number.MIN_VALUE, Number.MIN_VALUE],
    [Infinity, 'Infinity'],
  ],
  string: [
    ['', ''],
    ['äß😀\u{0}"', 'äß😀\u{0}"'],
    [long, long],
  ],
  bytes: [
    [bytes(), ''],
    [bytes(0, 255, 128), base64(0, 255, 128)],
  ],
  'fixed 5': [
    [bytes(0, 0, 0, 0, 0), base64(...zeros(5))],
    [bytes(255, 1, 2, 3, 128), base64(255, 1, 2, 3, 128)],
  ],
  enum: [
    ['A', 'A'],
    ['B', 'B'],
  ],
  date: [
    [0, '1970-01-01'],
    [-719_162, '0001-01-01'],
    [2_932_896, '9999-12-31'],
  ],
  'time-millis': [
    [0, '00:00:00.000000'],
    [86_399_999, '23:59:59.999000'],
  ],
  'time-micros': [
    [1n, '00:00:00.000001'],
    [86_399_999_999n, '23:59:59.999999'],
  ],
  'timestamp-millis': timestamps(1n, ' UTC'),
  'timestamp-micros': timestamps(1000n, ' UTC'),
  'local-timestamp-millis': timestamps(1n, ''),
  'local-timestamp-micros': timestamps(1000n, ''),
  'bytes decimal': [
    [decimal(-1n, 1), '-0.01'],
    [decimal(999_999_999n, 4), '9999999.99'],
    [decimal(-999_999_999n, 6), '-9999999.99'],
  ],
  'bytes decimal whole': [
    [decimal(0n, 1), '0'],
    [decimal(10n ** 18n - 1n, 8), '999999999999999999'],
    [decimal(1n - 10n ** 18n, 8), '-999999999999999999'],
  ],
  'fixed decimal': [
    [decimal(5n, 16), '0.0000000005'],
    [decimal(10n ** 38n - 1n, 16), '9999999999999999999999999999.9999999999'],
    [decimal(1n - 10n ** 38n, 16), '-9999999999999999999999999999.9999999999'],
  ],
  'string uuid': [
    [uuidText, uuidText],
    [highUuid.toUpperCase(), highUuid],
  ],
  'fixed uuid': [
    [uuidBytes, uuidText],
    [Buffer.alloc(16), '00000000-0000-0000-0000-000000000000'],
  ],
  array: [
    [[], []],
    [
      ['a', '', long],
      ['a', '', long],
    ],
  ],
  'array of nulls': [
    [[], []],
    [
      [null, 0n, null],
      [null, '1970-01-01 00:00:00.000000 UTC', null],
    ],
    [[null], [null]],
  ],
  map: [
    [{}, {}],
    [
      { '': 1n, ä: -(2n ** 63n) },
      { '': 1, ä: -(2n ** 63n) },
    ],
  ],
  'map of arrays': [
    [{}, {}],
    [
      { none: null, empty: [], some: [1, null, 3] },
      { none: null, empty: [], some: [1, null, 3] },
    ],
  ],
  record: [
    [{ city: 'Bern', zip: 3000 }, ['Bern', 3000]],
    [{ city: '', zip: null }, ['', null]],
  ],
  'array of records': [
    [[], []],
    [
      [
        { sku: 'a', tags: {} },
        { sku: 'b', tags: { x: decimal(99_999n, 3), y: decimal(-5n, 1) } },
      ],
      [
        ['a', {}],
        ['b', { x: '9999.9', y: '-0.5' }],
      ],
    ],
  ],
};
