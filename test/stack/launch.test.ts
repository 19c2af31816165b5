import { expect, test } from 'vitest';
import { componentNames, components } from '../../stack/components.ts';
import { readInstance } from '../../stack/instance.ts';
import { selectComponents } from '../../stack/launch.ts';

test('every component comes after those it needs', () => {
  const seen = new Set<string>();
  for (const { name, needs } of components) {
    expect([...seen]).toEqual(expect.arrayContaining([...needs]));
    seen.add(name);
  }
  expect([...seen]).toEqual([...componentNames]);
});

test('naming none selects all', () => {
  expect(selectComponents([])).toEqual(components);
});

test('a component brings those it needs, and theirs', () => {
  expect(selectComponents(['trino']).map(({ name }) => name)).toEqual(['s3', 'catalog', 'trino']);
});

test.each(['', 'Demo', '../demo', 'a/b'])('%j is no instance name', (name) => {
  expect(() => readInstance({ TRIBUTARY_STACK_INSTANCE: name })).toThrow(
    'TRIBUTARY_STACK_INSTANCE must be',
  );
});
