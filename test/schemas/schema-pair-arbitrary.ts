import type avsc from 'avsc';
import * as fc from 'fast-check';

/** Two schemas that grow from one shape, so that they often fit and often just do not. */
export type Pair =
  | { kind: 'primitive'; older: string; newer: string }
  | { kind: 'optional'; inOlder: boolean; inNewer: boolean; inner: Pair }
  | { kind: 'array' | 'map'; inner: Pair }
  | { kind: 'enum'; older: string[]; newer: string[]; hasDefault: boolean; name: NameChange }
  | { kind: 'fixed'; older: number; newer: number; name: NameChange }
  | { kind: 'record'; fields: FieldPair[]; name: NameChange };

type NameChange = 'same' | 'renamed' | 'aliased';
export type FieldPair = {
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

/** Pairs of any two schemas, and of fields of records. */
export const { pair, fieldPair } = fc.letrec<{ pair: Pair; leaf: Pair; fieldPair: FieldPair }>(
  (tie) => ({
    fieldPair: fc.record({
      inner: tie('pair'),
      stands: mostly<FieldPair['stands']>('in both', 'in older', 'in newer'),
      hasDefault: mostly(true, false),
      name: nameChange,
    }),
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
          fields: fc.array(tie('fieldPair'), { minLength: 1, maxLength: 3 }),
          name: nameChange,
        })
        .map((of): Pair => ({ kind: 'record', ...of })),
    ),
  }),
);

type Schemas = { older: avsc.Schema; newer: avsc.Schema };

/** Names come from the place, as each may be defined once. */
export function schemasOf(of: Pair, place = 'N'): Schemas {
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
export function valueOf(schema: avsc.Schema): fc.Arbitrary<unknown> {
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
