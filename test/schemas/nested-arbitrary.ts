import * as fc from 'fast-check';
import { text } from './avro-encoding.ts';

/** A type as a writer and as the contract have it, and values: as avsc writes them, and as a cell shows them. */
export type TypePair = {
  writer: unknown;
  reader: unknown;
  value: fc.Arbitrary<{ written: unknown; shown: unknown }>;
};

const DEPTH_MAX = 3;
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

/** What the writer writes is what the cell shows, but for `show`. */
function leaf<T>(
  writer: unknown,
  reader: unknown,
  values: fc.Arbitrary<T>,
  show: (value: T) => unknown = (value) => value,
): TypePair {
  const value = values.map((written) => ({ written, shown: show(written) }));
  return { writer, reader, value };
}

const leaves = (path: string): TypePair[] => {
  const millis = { type: 'long', logicalType: 'timestamp-millis' };
  const symbols = ['A', 'B', 'C'];
  const fixed = { type: 'fixed', name: `F${path}`, size: 3 };
  return [
    leaf('int', 'int', fc.integer()),
    leaf('int', 'long', fc.integer(), BigInt),
    leaf('int', 'double', fc.integer()),
    leaf('long', 'long', int64),
    leaf('float', 'double', fc.float()),
    leaf('double', 'double', fc.double()),
    leaf('boolean', 'boolean', fc.boolean()),
    leaf('string', 'string', fc.string({ unit: 'grapheme', maxLength: 120 }), text),
    leaf('string', 'bytes', fc.string({ unit: 'grapheme', maxLength: 12 }), text),
    leaf(
      'bytes',
      'bytes',
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
      (bytes) => Uint8Array.from(bytes),
    ),
    leaf(
      fixed,
      fixed,
      fc.uint8Array({ minLength: 3, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
      (bytes) => Uint8Array.from(bytes),
    ),
    leaf(
      millis,
      { type: 'long', logicalType: 'timestamp-micros' },
      fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }).map(BigInt),
      (ms) => ms * 1000n,
    ),
    leaf(
      { type: 'enum', name: `E${path}`, symbols },
      { type: 'enum', name: `E${path}`, symbols: ['B', 'Z', 'A'], default: 'Z' },
      fc.constantFrom(...symbols),
      (symbol) => text(symbol === 'C' ? 'Z' : symbol),
    ),
  ];
};

/** A random pair of types. `path` makes the names of its named types its own. */
function typePair(path = '', depth = DEPTH_MAX): fc.Arbitrary<TypePair> {
  const flat = fc.constantFrom(...leaves(path));
  const any =
    depth === 0
      ? flat
      : fc.oneof(flat, recordPair(path, depth), arrayPair(path, depth), mapPair(path, depth));
  return fc.tuple(any, fc.constantFrom('as is', 'both', 'reader', 'writer')).map(nullable);
}

function nullable([pair, where]: [TypePair, string]): TypePair {
  const { writer, reader, value } = pair;
  if (where === 'as is') return pair;
  // A union cannot hold another: this one would be the same.
  if (where === 'reader') return { ...pair, reader: [reader, 'null'] };
  const union = ['null', writer];
  if (where === 'writer') return { ...pair, writer: union };
  const none = fc.constant({ written: null, shown: null });
  return { writer: union, reader: ['null', reader], value: fc.oneof(value, none) };
}

function arrayPair(path: string, depth: number): fc.Arbitrary<TypePair> {
  return typePair(`${path}a`, depth - 1).map(({ writer, reader, value }) => ({
    writer: { type: 'array', items: writer },
    reader: { type: 'array', items: reader },
    value: fc.array(value, { maxLength: 4 }).map((items) => ({
      written: items.map(({ written }) => written),
      shown: items.map(({ shown }) => shown),
    })),
  }));
}

function mapPair(path: string, depth: number): fc.Arbitrary<TypePair> {
  // A name that objects treat in a way of their own would test the test.
  const key = fc.string({ unit: 'grapheme', maxLength: 5 }).filter((name) => name !== '__proto__');
  return typePair(`${path}m`, depth - 1).map(({ writer, reader, value }) => ({
    writer: { type: 'map', values: writer },
    reader: { type: 'map', values: reader },
    value: fc.dictionary(key, value, { maxKeys: 4 }).map((entries) => ({
      written: mapped(entries, ({ written }) => written),
      shown: mapped(entries, ({ shown }) => shown),
    })),
  }));
}

function mapped<T>(entries: Record<string, T>, of: (value: T) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, of(value)]));
}

/** A field that only the contract has shows its default. */
const added = [
  { type: 'int', default: 7, shown: 7 },
  { type: ['null', 'string'], default: null, shown: null },
  { type: { type: 'array', items: 'long' }, default: [1, 2], shown: [1n, 2n] },
  { type: { type: 'map', values: 'string' }, default: { k: 'v' }, shown: { k: text('v') } },
];

type FieldPair = { kind: 'both' | 'renamed' | 'skipped'; pair: TypePair };

/** A record of which the contract has some fields under other names, lacks some, and has others of its own. */
export function recordPair(path: string, depth: number): fc.Arbitrary<TypePair> {
  const kind = fc.constantFrom<FieldPair['kind']>('both', 'both', 'renamed', 'skipped');
  const fields = fc
    .integer({ min: 1, max: 4 })
    .chain((count) =>
      fc.tuple(
        ...Array.from({ length: count }, (_, index) =>
          fc.record({ kind, pair: typePair(`${path}r${index}`, depth - 1) }),
        ),
      ),
    );
  return fc
    .record({ fields, extra: fc.subarray(added), isReversed: fc.boolean() })
    .filter(({ fields: all, extra }) => extra.length > 0 || all.some((f) => f.kind !== 'skipped'))
    .map(({ fields: all, extra, isReversed }) => {
      const kept = all.flatMap(({ kind: how, pair }, index) => {
        const name = `f${index}`;
        if (how === 'skipped') return [];
        return how === 'renamed'
          ? [{ name: `g${index}`, aliases: [name], type: pair.reader }]
          : [{ name, type: pair.reader }];
      });
      const own = extra.map((field, index) => ({
        name: `x${index}`,
        type: field.type,
        default: field.default,
      }));
      const readerFields = isReversed ? [...own, ...kept].toReversed() : [...kept, ...own];
      const writerFields = all.map(({ pair }, index) => ({ name: `f${index}`, type: pair.writer }));
      return {
        writer: { type: 'record', name: `W${path}`, fields: writerFields },
        reader: { type: 'record', name: `R${path}`, fields: readerFields },
        value: fc.tuple(...all.map(({ pair }) => pair.value)).map((values) => ({
          written: Object.fromEntries(values.map(({ written }, index) => [`f${index}`, written])),
          shown: Object.fromEntries([
            ...all.flatMap(({ kind: how }, index) => {
              const name = how === 'renamed' ? `g${index}` : `f${index}`;
              return how === 'skipped' ? [] : [[name, values[index]?.shown]];
            }),
            ...extra.map(({ shown }, index) => [`x${index}`, shown]),
          ]) as unknown,
        })),
      };
    });
}
