import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { faultsPage, renderFaults, resultsIn, tableIn } from './faults-page.ts';
import { chooseKinds, loadKinds, planRounds } from './kind-list.ts';

const kinds = (await loadKinds()).map(({ kind }) => kind);

it('docs/faults.md lists every kind of fault as it is; --rounds 0 --record brings it there', async () => {
  const page = await readFile(faultsPage, 'utf8');
  expect(tableIn(page)).toBe(renderFaults(kinds, resultsIn(page)));
});

it('every kind is named in kebab case and says what it does and promises', () => {
  expect(kinds.length).toBeGreaterThanOrEqual(40);
  for (const { name, does, promise } of kinds) {
    expect(name).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
    expect(does.length).toBeGreaterThan(10);
    expect(promise.length).toBeGreaterThan(10);
    expect(`${does}${promise}`).not.toContain('|');
  }
});

it('kill -9 falls on at least fifteen named points of the commit path', () => {
  expect(kinds.filter(({ name }) => name.startsWith('kill-')).length).toBeGreaterThanOrEqual(15);
});

it('every kind comes once before any comes again, in an order that the seed decides', () => {
  const names = (seed: number) => planRounds(kinds, seed, 2 * kinds.length).map((r) => r.kind.name);
  const first = names(1).slice(0, kinds.length);
  expect(new Set(first).size).toBe(kinds.length);
  expect(names(1)).toEqual(names(1));
  expect(names(2)).not.toEqual(names(1));
  expect(names(1).slice(kinds.length)).not.toEqual(first);
});

it('a round alone has the seed that it had among all', () => {
  const among = planRounds(kinds, 5, kinds.length).find(({ kind }) => kind === kinds[3]);
  expect(planRounds(kinds.slice(3, 4), 5, 1)).toEqual([among]);
});

it('FAULTS takes names and patterns, and refuses what no kind is called', () => {
  const chosen = chooseKinds(kinds, ['kill-events-*']).map(({ name }) => name);
  expect(chosen).toContain('kill-events-commit-applied');
  expect(chosen.every((name) => name.startsWith('kill-events-'))).toBe(true);
  expect(() => chooseKinds(kinds, ['no-such-fault'])).toThrow(/no kind of fault.*no-such-fault/);
});
