import {
  backwardOnly,
  both,
  enumOf,
  fixedOf,
  forwardOnly,
  neither,
  record,
} from './schema-pair.ts';
import type { PairRow } from './schema-pair.ts';

const A = ['A', 'B'];
const enumPairs: readonly PairRow[] = [
  ['an enum gets a symbol', enumOf(A), enumOf([...A, 'C']), backwardOnly],
  ['an enum loses a symbol', enumOf(A), enumOf(['A']), forwardOnly],
  [
    'an enum with a default gets a symbol',
    enumOf(A, { default: 'A' }),
    enumOf([...A, 'C'], { default: 'A' }),
    both,
  ],
  ['an enum loses a symbol, with a default', enumOf(A), enumOf(['A'], { default: 'A' }), both],
  ['an enum loses its default symbol', enumOf(A, { default: 'B' }), enumOf(['A']), forwardOnly],
  ['the symbols change places', enumOf(A), enumOf(['B', 'A']), both],
  ['the symbols are others', enumOf(A), enumOf(['C', 'D']), neither],
  [
    'the symbols are others, with a default',
    enumOf(A),
    enumOf(['C', 'D'], { default: 'C' }),
    backwardOnly,
  ],
  ['an enum is renamed', enumOf(A), enumOf(A, { name: 'Level' }), neither],
  [
    'an enum is renamed with an alias',
    enumOf(A),
    enumOf(A, { name: 'Level', aliases: ['Tier'] }),
    backwardOnly,
  ],
  [
    'an enum is renamed with a full alias',
    enumOf(A),
    enumOf(A, { name: 'Level', aliases: ['corpus.Tier'] }),
    backwardOnly,
  ],
  [
    'an enum is renamed with an alias of elsewhere',
    enumOf(A),
    enumOf(A, { name: 'Level', aliases: ['elsewhere.Tier'] }),
    neither,
  ],
  ['an enum moves to another namespace', enumOf(A), enumOf(A, { namespace: 'elsewhere' }), both],
  [
    'an enum moves and gets a symbol',
    enumOf(A),
    enumOf([...A, 'C'], { namespace: 'elsewhere' }),
    backwardOnly,
  ],
  ['an enum becomes text', enumOf(A), 'string', neither],
  ['an enum becomes optional', enumOf(A), ['null', enumOf(A)], backwardOnly],
  [
    'an optional enum gets a symbol',
    ['null', enumOf(A)],
    ['null', enumOf([...A, 'C'])],
    backwardOnly,
  ],
  ['a case of a symbol changes', enumOf(A), enumOf(['a', 'B']), neither],
  ['an enum gets a default', enumOf(A), enumOf(A, { default: 'A' }), both],
  [
    'an array of enums gets a symbol',
    { type: 'array', items: enumOf(A) },
    { type: 'array', items: enumOf([...A, 'C']) },
    backwardOnly,
  ],
];

const fixedPairs: readonly PairRow[] = [
  ['a fixed gets larger', fixedOf(4), fixedOf(8), neither],
  ['a fixed stays', fixedOf(4), fixedOf(4), both],
  ['a fixed is renamed', fixedOf(4), fixedOf(4, { name: 'Digest' }), neither],
  [
    'a fixed is renamed with an alias',
    fixedOf(4),
    fixedOf(4, { name: 'Digest', aliases: ['Hash'] }),
    backwardOnly,
  ],
  [
    'a fixed is renamed with an alias and grows',
    fixedOf(4),
    fixedOf(8, { name: 'Digest', aliases: ['Hash'] }),
    neither,
  ],
  ['a fixed moves to another namespace', fixedOf(4), fixedOf(4, { namespace: 'elsewhere' }), both],
  ['a fixed becomes bytes', fixedOf(4), 'bytes', neither],
  ['a fixed becomes a string', fixedOf(4), 'string', neither],
  ['a fixed becomes optional', fixedOf(4), ['null', fixedOf(4)], backwardOnly],
];

const point = (fields: readonly unknown[], more: object = {}): object =>
  record(fields, { name: 'Point', ...more });
const x = { name: 'x', type: 'int' };
const y = { name: 'y', type: 'int' };

const unionPairs: readonly PairRow[] = [
  ['a union gets a branch', ['int', 'string'], ['int', 'string', 'boolean'], backwardOnly],
  ['a union loses a branch', ['null', 'int', 'string'], ['null', 'int'], forwardOnly],
  ['branches change places', ['int', 'string'], ['string', 'int'], both],
  ['a branch is promoted', ['null', 'int'], ['null', 'long'], backwardOnly],
  ['a branch is promoted to one that is there', ['int', 'long'], ['null', 'long'], backwardOnly],
  ['two branches become one that takes both', ['int', 'long'], ['double'], backwardOnly],
  ['a union of numbers becomes a double', ['int', 'long', 'float'], 'double', backwardOnly],
  ['a union of text and bytes becomes text', ['string', 'bytes'], 'string', both],
  ['a union of one becomes its type', ['int'], 'int', both],
  ['a union of one is promoted', ['int'], 'long', backwardOnly],
  ['null alone becomes optional', 'null', ['null', 'int'], backwardOnly],
  ['optional becomes null alone', ['null', 'int'], 'null', forwardOnly],
  ['text becomes a union with bytes', 'string', ['null', 'bytes'], backwardOnly],
  ['optional text becomes optional bytes', ['null', 'string'], ['null', 'bytes'], both],
  ['optional text becomes an optional number', ['null', 'string'], ['null', 'long'], neither],
  ['a union shares no branch', ['int', 'string'], ['boolean', 'null'], neither],
  [
    'a union of arrays is promoted',
    ['null', { type: 'array', items: 'int' }],
    ['null', { type: 'array', items: 'long' }],
    backwardOnly,
  ],
  [
    'an array of a union gets a branch',
    { type: 'array', items: ['null', 'int'] },
    { type: 'array', items: ['null', 'int', 'string'] },
    backwardOnly,
  ],
  [
    'a map of required values becomes one of optional',
    { type: 'map', values: 'int' },
    { type: 'map', values: ['null', 'int'] },
    backwardOnly,
  ],
  [
    'an optional record gets a field with a default',
    ['null', point([x])],
    ['null', point([x, { ...y, default: 0 }])],
    both,
  ],
  ['an optional record gets a field', ['null', point([x])], ['null', point([x, y])], forwardOnly],
  ['an optional record loses a field', ['null', point([x, y])], ['null', point([x])], backwardOnly],
  [
    'records of a union change places',
    [point([x]), point([y], { name: 'Other' })],
    [point([y], { name: 'Other' }), point([x])],
    both,
  ],
  [
    'a record of a union is renamed',
    ['null', point([x])],
    ['null', point([x], { name: 'Place' })],
    neither,
  ],
  [
    'a record of a union is renamed with an alias',
    ['null', point([x])],
    ['null', point([x], { name: 'Place', aliases: ['Point'] })],
    backwardOnly,
  ],
  [
    'a union gets a second record',
    [point([x])],
    [point([x]), point([y], { name: 'Other' })],
    backwardOnly,
  ],
  [
    'a record becomes a union with others',
    point([x]),
    ['null', point([x]), 'string'],
    backwardOnly,
  ],
  [
    'a union of two enums loses one',
    [enumOf(A), enumOf(A, { name: 'Level' })],
    [enumOf(A)],
    forwardOnly,
  ],
  ['a number may be text too', 'int', ['string', 'int'], backwardOnly],
  ['a number may be a wider one', 'int', ['string', 'long'], backwardOnly],
  ['a wide number may be only a narrow one', 'long', ['string', 'int'], neither],
  ['a float takes a long within a union', ['null', 'long'], ['null', 'float'], backwardOnly],
];

const recordPairs: readonly PairRow[] = [
  [
    'a nested record gets a field with a default',
    point([x]),
    point([x, { ...y, default: 0 }]),
    both,
  ],
  ['a nested record gets a field', point([x]), point([x, y]), forwardOnly],
  ['a nested record loses a field', point([x, y]), point([x]), backwardOnly],
  ['a nested record is renamed', point([x]), point([x], { name: 'Place' }), neither],
  [
    'a nested record is renamed with an alias',
    point([x]),
    point([x], { name: 'Place', aliases: ['Point'] }),
    backwardOnly,
  ],
  [
    'a nested record moves to another namespace',
    point([x]),
    point([x], { namespace: 'elsewhere' }),
    both,
  ],
  [
    'a field of a nested record is renamed with an alias',
    point([x]),
    point([{ name: 'lon', type: 'int', aliases: ['x'] }]),
    backwardOnly,
  ],
  [
    'a field of a nested record changes its type',
    point([x]),
    point([{ name: 'x', type: 'string' }]),
    neither,
  ],
  [
    'an array of records gets a field',
    { type: 'array', items: point([x]) },
    { type: 'array', items: point([x, y]) },
    forwardOnly,
  ],
  [
    'a map of records is promoted',
    { type: 'map', values: point([x]) },
    { type: 'map', values: point([{ name: 'x', type: 'double' }]) },
    backwardOnly,
  ],
  ['a record becomes a map', point([x]), { type: 'map', values: 'int' }, neither],
  [
    'an array becomes a map',
    { type: 'array', items: 'int' },
    { type: 'map', values: 'int' },
    neither,
  ],
  [
    'an array of arrays is promoted',
    { type: 'array', items: { type: 'array', items: 'int' } },
    { type: 'array', items: { type: 'array', items: 'long' } },
    backwardOnly,
  ],
  ['a value becomes an array of it', 'int', { type: 'array', items: 'int' }, neither],
];

/** Types of a field that are made of others or have a name. */
export const nestedPairs: readonly PairRow[] = [
  ...enumPairs,
  ...fixedPairs,
  ...unionPairs,
  ...recordPairs,
];
