import { expect, it } from 'vitest';
import { matchFields } from '../../schemas/match-fields.ts';

/** `b:a,c` is a field b with the aliases a and c. */
function fieldOf(text: string): { name: string; aliases: string[] } {
  const [name = '', aliases = ''] = text.split(':');
  return { name, aliases: aliases === '' ? [] : aliases.split(',') };
}

it.each<[string, string, string, string]>([
  ['its name', 'a', 'a b', 'a=a'],
  ['an alias', 'b:a', 'a', 'b=a'],
  ['its name before its aliases', 'b:a', 'a b', 'b=b'],
  ['the first alias that is there', 'c:x,b,a', 'a b', 'c=b'],
  ['the first alias that no name takes', 'c:a,b a', 'a b', 'a=a c=b'],
  ['the first alias that no alias before takes', 'c:a d:a,b', 'a b', 'c=a d=b'],
  ['nothing that is taken by a name, whatever the order', 'b:a a', 'a', 'a=a'],
  ['the name of the other, where both have changed places', 'a:b b:a', 'a b', 'a=a b=b'],
])('a field is read from %s', (_, fields, earlier, expected) => {
  const matches = matchFields(
    fields.split(' ').map(fieldOf),
    earlier.split(' ').map((name) => ({ name })),
  );
  const pairs = [...matches].map(([field, match]) => `${field.name}=${match.name}`);
  expect(pairs.toSorted().join(' ')).toBe(expected);
});
