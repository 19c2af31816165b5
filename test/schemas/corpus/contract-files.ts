/**
 * What contract files may hold, for holding the check of contracts against a running registry. The texts say where a file
 * is wrong and what to do; `order.avsc: ` goes before them.
 */
type InvalidContract = {
  name: string;
  avroSchema: unknown;
  says: string;
  /** Why a registry takes it all the same. */
  registryTakes?: string;
};

const record = (fields: unknown, more: object = {}): object => ({
  type: 'record',
  name: 'Order',
  ...more,
  fields,
});
const holding = (type: unknown, more: object = {}): object =>
  record([{ name: 'a', type, ...more }]);
const inner = (fields: unknown, more: object = {}): object => ({
  ...record(fields, more),
  name: 'Item',
});
const enumOf = (symbols: unknown, more: object = {}): object => ({
  type: 'enum',
  name: 'Tier',
  symbols,
  ...more,
});
const number = [{ name: 'a', type: 'int' }];

const nameRule = 'a name has letters from A to Z, digits and _, and no digit first: rename it';
const symbolRule =
  'a symbol has letters from A to Z, digits and _, and no digit first: rename it, or use a string';
const notDefined = 'is not defined: correct its name, or define it where it first stands';
const javaLetters = 'Avro for Java takes the letters of any language';
const javaUnread = 'Avro for Java looks at nothing but text there';

const names: readonly InvalidContract[] = [
  ...['x y', '', '1a', 'a.b', 'a-b', '$a'].map((name) => ({
    name: `a field named ${JSON.stringify(name)}`,
    avroSchema: record([{ name, type: 'int' }]),
    says: `record Order has a field named ${JSON.stringify(name)}, and ${nameRule}`,
  })),
  {
    name: 'a field with a letter that is not ASCII',
    avroSchema: record([{ name: 'größe', type: 'int' }]),
    says: `record Order has a field named "größe", and ${nameRule}`,
    registryTakes: javaLetters,
  },
  {
    name: 'a field of an inner record',
    avroSchema: holding({ type: 'array', items: inner([{ name: 'x y', type: 'int' }]) }),
    says: `field a[]: record Item has a field named "x y", and ${nameRule}`,
  },
  {
    name: 'a field twice',
    avroSchema: record([...number, ...number]),
    says: 'record Order names a field twice, a: rename one of them, or take it away',
  },
  {
    name: 'a field without a name',
    avroSchema: holding({ type: 'map', values: inner([{ type: 'int' }]) }),
    says: 'field a{}: an Avro type or field lacks its name: give it one',
  },
  {
    name: 'a record named with a hyphen',
    avroSchema: record(number, { name: 'my-order' }),
    says: `the record is named "my-order", and ${nameRule}`,
  },
  {
    name: 'an enum named as a primitive type',
    avroSchema: holding(enumOf(['A'], { name: 'int' })),
    says: "field a: the enum has the name of a type of Avro's own, int: rename it",
  },
  ...['a b', 'a..b', '.a', 'a-b'].map((namespace) => ({
    name: `the namespace ${namespace}`,
    avroSchema: record(number, { namespace }),
    says: `its namespace is "${namespace}": write names with points between them, such as shop.events`,
  })),
  {
    name: 'a namespace that is a number',
    avroSchema: record(number, { namespace: 5 }),
    says: 'its namespace is 5: write names with points between them, such as shop.events',
    registryTakes: javaUnread,
  },
];

const aliases: readonly InvalidContract[] = [
  ...['x', 5, null, {}].flatMap((value) => {
    const remedy = 'write a list, such as ["former_name"], or leave them out';
    const says = `its aliases are ${JSON.stringify(value)}: ${remedy}`;
    return [
      {
        name: `aliases of a record that are ${JSON.stringify(value)}`,
        avroSchema: record(number, { aliases: value }),
        says,
      },
      {
        name: `aliases of a field that are ${JSON.stringify(value)}`,
        avroSchema: holding('int', { aliases: value }),
        says: `field a: ${says}`,
      },
    ];
  }),
  {
    name: 'an alias of a field that is a number',
    avroSchema: holding('int', { aliases: ['b', 5] }),
    says: 'field a: one of its aliases is 5, which is no name: correct it, or take it away',
  },
  {
    name: 'an alias of a record with a space',
    avroSchema: record(number, { aliases: ['an order'] }),
    says: 'one of its aliases is "an order", which is no name: correct it, or take it away',
  },
];

const types: readonly InvalidContract[] = [
  {
    name: 'an enum with a symbol twice',
    avroSchema: holding(enumOf(['A', 'A'])),
    says: 'field a: enum Tier has the symbol A twice: take one away',
  },
  {
    name: 'an enum with a symbol that is no name',
    avroSchema: holding(['null', enumOf(['A', 'B-C'])]),
    says: `field a: enum Tier has the symbol "B-C", and ${symbolRule}`,
  },
  {
    name: 'an enum without symbols',
    avroSchema: holding(enumOf([])),
    says: 'field a: enum Tier has no symbols: give it one',
    registryTakes: 'Avro for Java counts none as some',
  },
  {
    name: 'an enum with one text for symbols',
    avroSchema: holding(enumOf('AB')),
    says: 'field a: enum Tier has no symbols: give it a list of texts',
  },
  {
    name: 'an enum whose default is no symbol',
    avroSchema: holding(enumOf(['A'], { default: 'B' })),
    says: 'field a: enum Tier has a default of B, which is none of its symbols: add it to them, or name another',
  },
  {
    name: 'an enum whose default is a number',
    avroSchema: holding(enumOf(['A'], { default: 5 })),
    says: 'field a: enum Tier has a default of 5, which is none of its symbols: add it to them, or name another',
    registryTakes: javaUnread,
  },
  {
    name: 'two types of one name',
    avroSchema: record([
      { name: 'a', type: enumOf(['A']) },
      { name: 'b', type: enumOf(['B']) },
    ]),
    says: 'field b: the type Tier is defined before: write "Tier" alone where it stands again, or rename one of the two',
  },
  {
    name: 'one type written out twice',
    avroSchema: record([
      { name: 'a', type: enumOf(['A']) },
      { name: 'b', type: enumOf(['A']) },
    ]),
    says: 'field b: the type Tier is defined before: write "Tier" alone where it stands again, or rename one of the two',
    registryTakes: 'Avro for Java takes it since 1.12, where both are the same',
  },
  {
    name: 'a record within itself that is written out',
    avroSchema: holding(record(number)),
    says: 'field a: the type Order is defined before: write "Order" alone where it stands again, or rename one of the two',
  },
  {
    name: 'a type of no name',
    avroSchema: holding('integer'),
    says: `field a: the type integer ${notDefined}`,
  },
  {
    name: 'a type that is named before it is defined',
    avroSchema: record([
      { name: 'a', type: 'Tier' },
      { name: 'b', type: enumOf(['A']) },
    ]),
    says: `field a: the type Tier ${notDefined}`,
    registryTakes: 'Avro for Java does so since 1.12',
  },
  {
    name: 'a type of no namespace that is named within one',
    avroSchema: record(
      [
        { name: 'a', type: enumOf(['A'], { namespace: '' }) },
        { name: 'b', type: 'Tier' },
      ],
      { namespace: 'shop' },
    ),
    says: `field b: the type shop.Tier ${notDefined}`,
    registryTakes: 'Avro for Java then looks without a namespace',
  },
  {
    name: 'a union within an object',
    avroSchema: holding({ type: ['null', 'int'] }),
    says: 'field a: an object has a type as its type and adds nothing: write what its type is in place of the object',
  },
  {
    name: 'a name within an object',
    avroSchema: record([
      { name: 'a', type: enumOf(['A']) },
      { name: 'b', type: { type: 'Tier' } },
    ]),
    says: 'field b: an object has Tier as its type and adds nothing: write what its type is in place of the object',
  },
  {
    name: 'a union within a union',
    avroSchema: holding(['null', ['null', 'int']]),
    says: 'field a: a union holds a union: write the types of both into one',
  },
  {
    name: 'a field without a type',
    avroSchema: record([{ name: 'a' }]),
    says: 'field a: an Avro type is a name, an object or a union, got nothing',
  },
  {
    name: 'an array without items',
    avroSchema: holding({ type: 'array' }),
    says: 'field a[]: an Avro type is a name, an object or a union, got nothing',
  },
  {
    name: 'a record without fields',
    avroSchema: holding({ type: 'record', name: 'Item' }),
    says: 'field a: record Item has no fields: give it a list of them',
  },
  {
    name: 'a fixed whose size is a text',
    avroSchema: holding({ type: 'fixed', name: 'Hash', size: '4' }),
    says: 'field a: fixed Hash has no size: give it one of 0 to 2147483647 bytes',
  },
  {
    name: 'a decimal whose scale is a text',
    avroSchema: holding({ type: 'bytes', logicalType: 'decimal', precision: 3, scale: '1' }),
    says: 'field a: its scale is "1": write a number, or leave it out for 0',
    registryTakes: 'Avro ignores a logical type that is wrong',
  },
  {
    name: 'a field with an order of its own',
    avroSchema: holding('int', { order: 'up' }),
    says: 'field a: its order is "up": write ascending, descending or ignore, or leave it out',
  },
];

/** What is no Avro, told as `invalid Avro schema: `. */
export const invalidContracts: readonly InvalidContract[] = [...names, ...aliases, ...types].map(
  (one) => ({ ...one, says: `invalid Avro schema: ${one.says}` }),
);

const optionalItem = inner([{ name: 'x', type: ['null', 'int'] }]);

/** What is Avro, by its letter or as its version 1.12 has it: the registry takes it, and so does a contract's check. */
export const validContracts: readonly { name: string; avroSchema: unknown }[] = [
  {
    name: 'a default of the first branch',
    avroSchema: holding(['null', 'int'], { default: null }),
  },
  { name: 'a default of the second branch', avroSchema: holding(['null', 'int'], { default: 5 }) },
  { name: 'null as the second branch', avroSchema: holding(['string', 'null'], { default: null }) },
  {
    name: 'a default with a second branch within',
    avroSchema: holding({ type: 'array', items: optionalItem }, { default: [{ x: 5 }] }),
  },
  {
    name: 'a default that leaves out what has one',
    avroSchema: holding(inner([{ name: 'x', type: 'int', default: 1 }]), { default: {} }),
  },
  {
    name: 'aliases of a field of any text',
    avroSchema: holding('int', { aliases: ['x y', 'a.b'] }),
  },
  { name: 'an alias with a namespace', avroSchema: record(number, { aliases: ['old.Order'] }) },
  { name: 'a name with a namespace', avroSchema: record(number, { name: 'shop.Order' }) },
  { name: 'an empty namespace', avroSchema: record(number, { namespace: '' }) },
  { name: 'symbols that objects have', avroSchema: holding(enumOf(['toString', 'constructor'])) },
  {
    name: 'a type by its name',
    avroSchema: record(
      [
        { name: 'a', type: enumOf(['A']) },
        { name: 'b', type: 'Tier' },
        { name: 'c', type: ['null', 'shop.Tier'] },
      ],
      { namespace: 'shop' },
    ),
  },
  { name: 'null as an object', avroSchema: holding([{ type: 'null' }, 'int']) },
  {
    name: 'attributes of others',
    avroSchema: holding('int', { doc: 5, sensitive: { by: ['law'] } }),
  },
];
