import fc from 'fast-check';

/** A value that is right most of the time, and else one of some that mostly are not. */
function mostly(right: fc.Arbitrary<unknown>, ...odd: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 40, arbitrary: right },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  );
}

/** An object without the keys that are undefined, as JSON has it. */
function objectOf(shape: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  return fc.record(shape).map((made) => JSON.parse(JSON.stringify(made)) as unknown);
}

const typeName = mostly(
  fc.constantFrom(...Array.from({ length: 26 }, (_one, at) => `T${at}`), 'shop.T0', 'shop.old.T1'),
  'int',
  'R-x',
  '',
  'é',
  5,
  '.A',
  'a..B',
  'shop.string',
);
const fieldName = mostly(
  fc.constantFrom(...Array.from({ length: 11 }, (_one, at) => `f${at}`), 'd_1', '_e'),
  'x y',
  '',
  '1a',
  'a.b',
  5,
);
const namespace = mostly(
  fc.constantFrom(undefined, undefined, '', 'shop', 'shop.old'),
  'a b',
  5,
  '.a',
);
const symbols = mostly(
  fc.uniqueArray(fc.constantFrom('P', 'Q', 'r_1'), { minLength: 1 }),
  [],
  ['P', 'P'],
  ['B-C'],
  [''],
  'P',
  [5],
  ['é'],
);
const typeAliases = mostly(
  fc.constantFrom(undefined, [], ['Old', 'shop.Older']),
  'x',
  5,
  [5],
  ['x y'],
  [''],
);
const fieldAliases = mostly(fc.constantFrom(undefined, [], ['x y']), 'x', 5, [5], {});
const defaults = [null, 0, 5.5, true, '', 'P', 'ab', [], {}, [5], { a: null }, { a: 5, b: 'P' }];

const primitive = fc.constantFrom('boolean', 'int', 'long', 'float', 'double', 'bytes', 'string');

const { type, fields } = fc.letrec<{ type: unknown; fields: unknown; bare: unknown }>((tie) => ({
  fields: fc.array(
    objectOf({
      name: fieldName,
      type: tie('type'),
      aliases: fieldAliases,
      default: mostly(fc.constant(undefined), ...defaults),
      order: mostly(fc.constantFrom(undefined, 'ignore'), 'up', 5),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  type: fc.oneof(
    { weight: 3, arbitrary: tie('bare') },
    { weight: 2, arbitrary: tie('bare').map((bare) => ['null', bare]) },
    { weight: 1, arbitrary: tie('bare').map((bare) => [bare, 'null']) },
  ),
  bare: fc.oneof(
    { maxDepth: 3 },
    { weight: 4, arbitrary: primitive },
    { weight: 1, arbitrary: typeName },
    { weight: 1, arbitrary: objectOf({ type: mostly(primitive, 'T0', ['null'], 'integer') }) },
    {
      weight: 2,
      arbitrary: objectOf({
        type: fc.constant('enum'),
        name: typeName,
        namespace,
        symbols,
        aliases: typeAliases,
        default: mostly(fc.constantFrom(undefined, 'P'), 'Z', 5),
      }),
    },
    {
      weight: 2,
      arbitrary: objectOf({
        type: fc.constant('fixed'),
        name: typeName,
        namespace,
        size: mostly(fc.constantFrom(1, 2, 16), '4', -1, 1.5, 2 ** 31),
        aliases: typeAliases,
      }),
    },
    { weight: 1, arbitrary: objectOf({ type: fc.constant('array'), items: tie('type') }) },
    { weight: 1, arbitrary: objectOf({ type: fc.constant('map'), values: tie('type') }) },
    {
      weight: 2,
      arbitrary: objectOf({
        type: fc.constant('record'),
        name: typeName,
        namespace,
        aliases: typeAliases,
        fields: tie('fields'),
      }),
    },
  ),
}));

/** Contract files, about as many that are Avro as are not; types stand in them by their names too. */
export const contractFile: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 1, arbitrary: type },
  {
    weight: 30,
    arbitrary: objectOf({
      type: fc.constant('record'),
      name: typeName,
      namespace,
      aliases: typeAliases,
      fields,
    }),
  },
);
