import avsc from 'avsc';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { incompatibilities } from '../../schemas/avro-compatibility.ts';
import type { Incompatibility } from '../../schemas/avro-compatibility.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';
import { pair, schemasOf, valueOf } from './schema-pair-arbitrary.ts';

const written = pair
  .map((of) => schemasOf(of))
  .chain(({ older, newer }) => valueOf(older).map((value) => ({ older, newer, value })));

const found = (reader: unknown, writer: unknown): readonly Incompatibility[] =>
  incompatibilities(parseAvroType(reader), parseAvroType(writer));

/** What avsc makes of a value of the writer's; `unresolved` where it finds that the two do not fit. */
function readBy(
  reader: avsc.Type,
  writer: avsc.Type,
  value: unknown,
): { value: unknown } | 'unresolved' {
  let resolver;
  try {
    resolver = reader.createResolver(writer);
  } catch {
    return 'unresolved';
  }
  return { value: reader.fromBuffer(writer.toBuffer(value), resolver) as unknown };
}

describe('any two schemas', () => {
  it('fit where avsc resolves one into the other, which then reads what was written', () => {
    let fitting = 0;
    let others = 0;
    fc.assert(
      fc.property(written, ({ older, newer, value }) => {
        const [reader, writer] = [avsc.Type.forSchema(newer), avsc.Type.forSchema(older)];
        const read = readBy(reader, writer, value);
        const fits = found(newer, older).length === 0;
        expect({ fits, valid: read !== 'unresolved' && reader.isValid(read.value) }).toEqual({
          fits,
          valid: fits,
        });
        if (fits) fitting++;
        else others++;
      }),
      { numRuns: 2_000 },
    );
    // A verdict that never changes would prove nothing.
    expect(Math.min(fitting, others)).toBeGreaterThan(200);
  });

  it('that are one and the same fit', () => {
    fc.assert(
      fc.property(pair, (of) => {
        const { older } = schemasOf(of);
        expect(found(older, older)).toEqual([]);
      }),
    );
  });
});

type Wrap = { path: string; wrap: (type: unknown, depth: number) => unknown };

const wraps: readonly Wrap[] = [
  { path: '[]', wrap: (items) => ({ type: 'array', items }) },
  { path: '{}', wrap: (values) => ({ type: 'map', values }) },
  {
    path: '.f',
    wrap: (type, depth) => ({ type: 'record', name: `R${depth}`, fields: [{ name: 'f', type }] }),
  },
  { path: '', wrap: (type) => (Array.isArray(type) ? type : ['null', type]) },
];

const breaks: readonly (readonly [unknown, unknown, Incompatibility['rule']])[] = [
  ['int', 'boolean', 'type'],
  ['long', 'int', 'type'],
  [
    { type: 'enum', name: 'E', symbols: ['A', 'B'] },
    { type: 'enum', name: 'E', symbols: ['A'] },
    'enum-symbols',
  ],
  [{ type: 'fixed', name: 'F', size: 2 }, { type: 'fixed', name: 'F', size: 3 }, 'fixed-size'],
  [{ type: 'fixed', name: 'F', size: 2 }, { type: 'fixed', name: 'G', size: 2 }, 'name'],
];

describe('a break, however deep', () => {
  it('is found by its rule at its place, and nothing else is', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...breaks),
        fc.array(fc.constantFrom(...wraps), { maxLength: 5 }),
        ([older, newer, rule], layers) => {
          const wrapped = (type: unknown): unknown =>
            layers.reduce((inner, { wrap }, depth) => wrap(inner, depth), type);
          const path = layers
            .toReversed()
            .map((layer) => layer.path)
            .join('')
            .replace(/^\./, '');
          // A renamed type, or a narrower one, is no branch of an optional one any more.
          const told = found(wrapped(newer), wrapped(older)).map((each) => ({
            path: each.path,
            rule: each.rule === 'union-branch' ? rule : each.rule,
          }));
          expect(told).toEqual([{ path, rule }]);
        },
      ),
    );
  });
});
