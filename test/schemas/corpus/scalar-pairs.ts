import {
  backwardOnly,
  both,
  enumOf,
  fixedOf,
  forwardOnly,
  holding,
  neither,
  record,
} from './schema-pair.ts';
import type { SchemaPair } from './schema-pair.ts';

const primitives = [
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
] as const;
type Primitive = (typeof primitives)[number];

/** What each type may be read as, beside itself. */
const readableAs: Readonly<Partial<Record<Primitive, readonly Primitive[]>>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
};

const reads = (reader: Primitive, writer: Primitive): boolean =>
  reader === writer || (readableAs[writer] ?? []).includes(reader);

const pairsOf = <T>(items: readonly T[]): (readonly [T, T])[] =>
  items.flatMap((older, index) => items.slice(index).map((newer) => [older, newer] as const));

const primitivePairs: readonly SchemaPair[] = pairsOf(primitives).map(([older, newer]) => ({
  name: `a field of ${older} becomes ${newer}`,
  older: holding(older),
  newer: holding(newer),
  backward: reads(newer, older),
  forward: reads(older, newer),
}));

const nested: readonly (readonly [string, (type: unknown) => unknown])[] = [
  ['items of an array', (items) => ({ type: 'array', items })],
  ['values of a map', (values) => ({ type: 'map', values })],
  ['an optional field', (type) => ['null', type]],
  ['a field of a nested record', (type) => record([{ name: 'b', type }], { name: 'Inner' })],
];

const nestedSamples: readonly (readonly [Primitive, Primitive])[] = [
  ['int', 'long'],
  ['int', 'string'],
  ['long', 'double'],
  ['float', 'double'],
  ['string', 'bytes'],
  ['boolean', 'boolean'],
];

const nestedPairs: readonly SchemaPair[] = nested.flatMap(([where, wrap]) =>
  nestedSamples.map(([older, newer]) => ({
    name: `${where}: ${older} becomes ${newer}`,
    older: holding(wrap(older)),
    newer: holding(wrap(newer)),
    backward: reads(newer, older),
    forward: reads(older, newer),
  })),
);

const nullablePairs: readonly SchemaPair[] = primitives
  .filter((type) => type !== 'null')
  .flatMap((type) => [
    {
      name: `${type} becomes optional`,
      older: holding(type),
      newer: holding(['null', type], { default: null }),
      ...backwardOnly,
    },
    {
      name: `optional ${type} becomes required`,
      older: holding([type, 'null']),
      newer: holding(type),
      ...forwardOnly,
    },
    {
      name: `the branches of optional ${type} change places`,
      older: holding(['null', type]),
      newer: holding([type, 'null']),
      ...both,
    },
  ]);

const kinds: readonly (readonly [string, unknown])[] = [
  ['record', record([{ name: 'b', type: 'int' }], { name: 'Inner' })],
  ['enum', enumOf(['A'])],
  ['fixed', fixedOf(4)],
  ['array', { type: 'array', items: 'int' }],
  ['map', { type: 'map', values: 'int' }],
  ['string', 'string'],
  ['bytes', 'bytes'],
  ['long', 'long'],
];

const kindPairs: readonly SchemaPair[] = pairsOf(kinds).flatMap(([older, newer]) => {
  const names = [older[0], newer[0]];
  const isText = names.every((name) => name === 'string' || name === 'bytes');
  const verdict = names[0] === names[1] || isText ? both : neither;
  return [
    {
      name: names.join(' becomes '),
      older: holding(older[1]),
      newer: holding(newer[1]),
      ...verdict,
    },
  ];
});

const logical = (type: string, logicalType: string, more: object = {}): object => ({
  type,
  logicalType,
  ...more,
});

const decimal = (precision: number, scale: number): object =>
  logical('bytes', 'decimal', { precision, scale });

/** Registries and Avro's own resolution look at the type beneath alone. */
const logicalPairs: readonly SchemaPair[] = [
  ...(
    [
      ['int', 'date'],
      ['int', 'time-millis'],
      ['long', 'time-micros'],
      ['long', 'timestamp-millis'],
      ['long', 'timestamp-micros'],
      ['long', 'local-timestamp-millis'],
      ['long', 'local-timestamp-micros'],
      ['string', 'uuid'],
    ] as const
  ).flatMap(([type, name]) => [
    {
      name: `${name} becomes plain ${type}`,
      older: holding(logical(type, name)),
      newer: holding(type),
      ...both,
    },
    {
      name: `${type} becomes optional ${name}`,
      older: holding(type),
      newer: holding(['null', logical(type, name)]),
      ...backwardOnly,
    },
  ]),
  ...(
    [
      [
        'milliseconds become microseconds',
        logical('long', 'timestamp-millis'),
        logical('long', 'timestamp-micros'),
        both,
      ],
      [
        'an instant becomes a local time',
        logical('long', 'timestamp-micros'),
        logical('long', 'local-timestamp-micros'),
        both,
      ],
      [
        'a time becomes a timestamp',
        logical('int', 'time-millis'),
        logical('long', 'timestamp-millis'),
        backwardOnly,
      ],
      [
        'a date becomes a timestamp',
        logical('int', 'date'),
        logical('long', 'timestamp-millis'),
        backwardOnly,
      ],
      ['a decimal gets another scale', decimal(12, 2), decimal(12, 4), both],
      ['a decimal gets more digits', decimal(12, 2), decimal(18, 2), both],
      ['a decimal gets fewer digits', decimal(12, 2), decimal(6, 2), both],
      ['a decimal becomes bytes', decimal(12, 2), 'bytes', both],
      ['a decimal becomes text', decimal(12, 2), 'string', both],
      ['a decimal becomes a double', decimal(12, 2), 'double', neither],
      [
        'a decimal in bytes becomes one in a fixed',
        decimal(12, 2),
        fixedOf(8, { logicalType: 'decimal', precision: 12, scale: 2 }),
        neither,
      ],
      [
        'a decimal in a fixed gets a larger one',
        fixedOf(8, { logicalType: 'decimal', precision: 12, scale: 2 }),
        fixedOf(9, { logicalType: 'decimal', precision: 12, scale: 2 }),
        neither,
      ],
      [
        'a uuid in a fixed becomes one in text',
        fixedOf(16, { logicalType: 'uuid' }),
        logical('string', 'uuid'),
        neither,
      ],
      ['an unknown logical type goes', logical('string', 'colour'), 'string', both],
    ] as const
  ).map(([name, older, newer, verdict]) => ({
    name,
    older: holding(older),
    newer: holding(newer),
    ...verdict,
  })),
];

/** Types of a field, plain, optional, within others, and what logical types add to them: nothing. */
export const scalarPairs: readonly SchemaPair[] = [
  ...primitivePairs,
  ...nestedPairs,
  ...nullablePairs,
  ...kindPairs,
  ...logicalPairs,
];
