import type { AvroField, AvroObject, AvroType } from '../schemas/contract.ts';
import type { Random } from './random.ts';

/** Draws values for the fields of a contract that nothing else fills; a field that is left out takes its default. */
export type ExtraFields = (random: Random) => Readonly<Record<string, unknown>>;

const VALUES = 9;
const NULL_SHARE = 0.3;

/**
 * Values for fields that a schema owner has added: `<name>-<n>` for text, small numbers, now and then null where that is
 * allowed. Undefined where there is none of a plain type, so that a seed gives what it always gave.
 */
export function openExtraFields(
  avroSchema: AvroObject,
  known: readonly string[],
): ExtraFields | undefined {
  const drawn = (avroSchema.fields ?? [])
    .filter(({ name }) => !known.includes(name))
    .flatMap((field) => {
      const draw = drawOf(field);
      return draw === undefined ? [] : [{ name: field.name, draw }];
    });
  if (drawn.length === 0) return undefined;
  return (random) => Object.fromEntries(drawn.map(({ name, draw }) => [name, draw(random)]));
}

function drawOf({ name, type }: AvroField): ((random: Random) => unknown) | undefined {
  const branches: readonly AvroType[] = Array.isArray(type) ? (type as AvroType[]) : [type];
  const others = branches.filter((branch) => branch !== 'null');
  const draw = others.length === 1 ? plainDraw(name, others[0]) : undefined;
  if (draw === undefined || others.length === branches.length) return draw;
  return (random) => (random.chance(NULL_SHARE) ? null : draw(random));
}

function plainDraw(
  name: string,
  type: AvroType | undefined,
): ((random: Random) => unknown) | undefined {
  if (type === 'string') return (random) => `${name}-${1 + random.below(VALUES)}`;
  if (type === 'int' || type === 'long') return (random) => random.below(VALUES);
  if (type === 'float' || type === 'double') return (random) => random.below(VALUES) + 0.5;
  if (type === 'boolean') return (random) => random.chance(0.5);
  return undefined;
}
