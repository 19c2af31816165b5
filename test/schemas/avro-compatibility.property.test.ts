import avsc from 'avsc';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { incompatibilities } from '../../schemas/avro-compatibility.ts';
import type { Incompatibility } from '../../schemas/avro-compatibility.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';

/** Two schemas that grow from one shape, so that they often fit and often just do not. */
type Pair =
  | { kind: 'primitive'; older: string; newer: string }
  | { kind: 'optional'; inOlder: boolean; inNewer: boolean; inner: Pair }
  | { kind: 'array' | 'map'; inner: Pair }
  | { kind: 'enum'; older: string[]; newer: string[]; hasDefault: boolean; name: NameChange }
  | { kind: 'fixed'; older: number; newer: number; name: NameChange }
  | { kind: 'record'; fields: FieldPair[]; name: NameChange };

type NameChange = 'same' | 'renamed' | 'aliased';
type FieldPair = {
  inner: Pair;
  stands: 'in both' | 'in older' | 'in newer';
  hasDefault: boolean;
  name: NameChange;
};

const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(usual) },
    ...others.map((other) => fc.constant(other)),
  );
const nameChange = mostly<NameChange>('same', 'renamed', 'aliased');
const primitive = fc.constantFrom('int', 'long', 'float', 'double', 'string', 'bytes', 'boolean');
const symbols = fc.uniqueArray(fc.constantFrom('A', 'B', 'C'), { minLength: 1 });
const size = mostly(2, 3);

const { pair } = fc.letrec<{ pair: Pair; leaf: Pair }>((tie) => ({
  leaf: fc.oneof(
    primitive.chain((older) =>
      fc.oneof(fc.constant(older), primitive).map((newer): Pair => {
        return { kind: 'primitive', older, newer };
      }),
    ),
    fc
      .record({ older: symbols, newer: symbols, hasDefault: fc.boolean(), name: nameChange })
      .map((of): Pair => ({ kind: 'enum', ...of })),
    fc
      .record({ older: size, newer: size, name: nameChange })
      .map((of): Pair => ({ kind: 'fixed', ...of })),
  ),
  pair: fc.oneof(
    { maxDepth: 4, depthSize: 'medium' },
    tie('leaf'),
    fc
      .record({ inOlder: fc.boolean(), inNewer: mostly(true, false), inner: tie('pair') })
      .map((of): Pair => ({ kind: 'optional', ...of })),
    fc
      .record({ kind: fc.constantFrom('array' as const, 'map' as const), inner: tie('pair') })
      .map((of): Pair => of),
    fc
      .record({
        fields: fc.array(
          fc.record({
            inner: tie('pair'),
            stands: mostly<FieldPair['stands']>('in both', 'in older', 'in newer'),
            hasDefault: mostly(true, false),
            name: nameChange,
          }),
          { minLength: 1, maxLength: 3 },
        ),
        name: nameChange,
      })
      .map((of): Pair => ({ kind: 'record', ...of })),
  ),
}));

type Schemas = { older: avsc.Schema; newer: avsc.Schema };

/** Names come from the place, as each may be defined once. */
function schemasOf(of: Pair, place = 'N'): Schemas {
  switch (of.kind) {
    case 'primitive':
      return { older: of.older, newer: of.newer };
    case 'optional': {
      const { older, newer } = schemasOf(of.inner, place);
      return {
        older: of.inOlder ? orNull(older) : older,
        newer: of.inNewer ? orNull(newer) : newer,
      };
    }
    case 'array': {
      const { older, newer } = schemasOf(of.inner, place);
      return { older: { type: 'array', items: older }, newer: { type: 'array', items: newer } };
    }
    case 'map': {
      const { older, newer } = schemasOf(of.inner, place);
      return { older: { type: 'map', values: older }, newer: { type: 'map', values: newer } };
    }
    case 'enum':
      return named(place, of.name, {
        older: { type: 'enum', symbols: of.older },
        newer: {
          type: 'enum',
          symbols: of.newer,
          ...(of.hasDefault ? { default: of.newer[0] } : {}),
        },
      });
    case 'fixed':
      return named(place, of.name, {
        older: { type: 'fixed', size: of.older },
        newer: { type: 'fixed', size: of.newer },
      });
    case 'record':
      return named(place, of.name, recordsOf(of.fields, place));
  }
}

function recordsOf(fields: readonly FieldPair[], place: string) {
  const schemas = fields.map((field, index) => schemasOf(field.inner, `${place}_${index}`));
  const older = fields.flatMap(({ stands }, index) => {
    const type = schemas[index]?.older;
    return stands === 'in newer' ? [] : [{ name: `f${index}`, type }];
  });
  const newer = fields.flatMap(({ stands, hasDefault, name }, index) => {
    const type = schemas[index]?.newer ?? 'null';
    if (stands === 'in older') return [];
    const own = { name: name === 'same' ? `f${index}` : `g${index}` };
    const aliases = name === 'aliased' ? { aliases: [`f${index}`] } : {};
    return hasDefault
      ? [{ ...own, ...aliases, type: orNull(type), default: null }]
      : [{ ...own, ...aliases, type }];
  });
  return { older: { type: 'record', fields: older }, newer: { type: 'record', fields: newer } };
}

function named(
  place: string,
  change: NameChange,
  { older, newer }: { older: object; newer: object },
): Schemas {
  const renamed = { ...newer, name: `${place}_new` };
  const after = {
    same: { ...newer, name: place },
    renamed,
    aliased: { ...renamed, aliases: [place] },
  }[change];
  return { older: { ...older, name: place } as avsc.Schema, newer: after as avsc.Schema };
}

function orNull(schema: avsc.Schema): avsc.Schema {
  return Array.isArray(schema) ? schema : (['null', schema] as avsc.Schema);
}

/** Values of a schema as avsc writes them. */
function valueOf(schema: avsc.Schema): fc.Arbitrary<unknown> {
  if (Array.isArray(schema)) return fc.oneof(...schema.map((branch) => valueOf(branch)));
  if (typeof schema === 'string') return primitiveValue(schema);
  const of = schema as unknown as {
    type: string;
    symbols: string[];
    size: number;
    items: avsc.Schema;
    values: avsc.Schema;
    fields: { name: string; type: avsc.Schema }[];
  };
  switch (of.type) {
    case 'enum':
      return fc.constantFrom(...of.symbols);
    case 'fixed':
      return fc.uint8Array({ minLength: of.size, maxLength: of.size }).map((b) => Buffer.from(b));
    case 'array':
      return fc.array(valueOf(of.items), { maxLength: 3 });
    case 'map':
      return fc.dictionary(fc.string(), valueOf(of.values), { maxKeys: 3, noNullPrototype: true });
    default:
      return fc.record(
        Object.fromEntries(of.fields.map(({ name, type }) => [name, valueOf(type)])),
        { noNullPrototype: true },
      );
  }
}

function primitiveValue(kind: string): fc.Arbitrary<unknown> {
  switch (kind) {
    case 'int':
      return fc.integer();
    case 'long':
      return fc.integer({ min: -(2 ** 50), max: 2 ** 50 });
    case 'float':
      return fc.float({ noNaN: true });
    case 'double':
      return fc.double({ noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'bytes':
      return fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes));
    case 'string':
      return fc.string({ maxLength: 9 });
    default:
      return fc.constant(null);
  }
}

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
