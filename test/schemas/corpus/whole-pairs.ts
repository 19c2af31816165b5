import {
  backwardOnly,
  both,
  enumOf,
  forwardOnly,
  holding,
  id,
  neither,
  record,
} from './schema-pair.ts';
import type { PairRow } from './schema-pair.ts';

const A = ['A', 'B'];
const x = { name: 'x', type: 'int' };
const y = { name: 'y', type: 'int' };
const point = (fields: readonly unknown[]): object => record(fields, { name: 'Point' });

/** A list: a record that holds itself. */
const list = (value: unknown, more: object = {}): object =>
  record([
    { name: 'value', type: value, ...more },
    { name: 'next', type: ['null', 'Row'], default: null },
  ]);

const tree = (type: unknown): object =>
  record([
    { name: 'value', type },
    { name: 'children', type: { type: 'array', items: 'Row' } },
  ]);

/** Two records that hold each other. */
const mutual = (type: unknown): object =>
  record([
    {
      name: 'other',
      type: [
        'null',
        record(
          [
            { name: 'value', type },
            { name: 'back', type: ['null', 'corpus.Row'] },
          ],
          { name: 'Other' },
        ),
      ],
    },
  ]);

const twice = (first: unknown, reference: unknown): object =>
  record([
    { name: 'a', type: first },
    { name: 'b', type: reference },
  ]);

/** The whole schema: its own name, types that hold themselves, types that are named again. */
export const wholePairs: readonly PairRow[] = [
  ['a list stays', list('int'), list('int'), both],
  ['a list is promoted', list('int'), list('long'), backwardOnly],
  ['a list holds another type', list('int'), list('string'), neither],
  ['a tree is promoted', tree('float'), tree('double'), backwardOnly],
  ['a tree holds another type', tree('float'), tree('boolean'), neither],
  ['two records that hold each other stay', mutual('int'), mutual('int'), both],
  ['two records that hold each other are promoted', mutual('int'), mutual('long'), backwardOnly],
  ['two records that hold each other break', mutual('int'), mutual('string'), neither],
  ['a list becomes flat', list('int'), record([{ name: 'value', type: 'int' }]), both],
  ['the record is renamed', record([id]), record([id], { name: 'Line' }), neither],
  [
    'the record is renamed with an alias',
    record([id]),
    record([id], { name: 'Line', aliases: ['Row'] }),
    backwardOnly,
  ],
  [
    'the record is renamed with a full alias',
    record([id]),
    record([id], { name: 'Line', aliases: ['corpus.Row'] }),
    backwardOnly,
  ],
  [
    'the record moves to another namespace',
    record([id]),
    record([id], { namespace: 'elsewhere' }),
    both,
  ],
  [
    'the namespace stands in the name',
    record([id]),
    { type: 'record', name: 'corpus.Row', fields: [id] },
    both,
  ],
  [
    'a type is named again',
    twice(enumOf(A), 'Tier'),
    twice(enumOf([...A, 'C']), 'Tier'),
    backwardOnly,
  ],
  [
    'a type is named again in full',
    twice(point([x]), 'corpus.Point'),
    twice(point([x, y]), 'corpus.Point'),
    forwardOnly,
  ],
  [
    'a type that was named again has its own copy',
    twice(enumOf(A), 'Tier'),
    twice(enumOf(A), enumOf(A, { namespace: 'elsewhere' })),
    both,
  ],
  [
    'text becomes a primitive with a property',
    holding('string'),
    holding({ type: 'string', 'avro.java.string': 'String' }),
    both,
  ],
  ['the whole is text and becomes bytes', 'string', 'bytes', both],
  [
    'the whole is a record and becomes a map',
    record([id]),
    { type: 'map', values: 'long' },
    neither,
  ],
  ['the whole is an enum that gets a symbol', enumOf(A), enumOf([...A, 'C']), backwardOnly],
  [
    'the whole is a union that gets a branch',
    ['null', 'int'],
    ['null', 'int', 'string'],
    backwardOnly,
  ],
];
