import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openRandom } from '../../generate/random.ts';
import type { Kind } from './round.ts';

/** Every kind of the files in `kinds/`, by file and in the order in which each lists them. */
export async function loadKinds(): Promise<{ file: string; kind: Kind }[]> {
  const folder = join(import.meta.dirname, 'kinds');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).toSorted();
  const listed = await Promise.all(
    files.map(async (file) => {
      const { default: kinds } = (await import(join(folder, file))) as { default: Kind[] };
      return kinds.map((kind) => ({ file, kind }));
    }),
  );
  const all = listed.flat();
  const names = all.map(({ kind }) => kind.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`two kinds are called ${twice}`);
  return all;
}

/** The kinds of these names, a `*` in a name standing for anything; all where none is named. */
export function chooseKinds(kinds: readonly Kind[], wanted: readonly string[]): Kind[] {
  const unknown = wanted.filter((name) => !kinds.some((kind) => fits(kind, name)));
  if (unknown.length > 0) {
    throw new RangeError(`no kind of fault is called ${unknown.join(', ')}; FAULTS=list shows all`);
  }
  return kinds.filter((kind) => wanted.length === 0 || wanted.some((name) => fits(kind, name)));
}

function fits({ name }: Kind, wanted: string): boolean {
  const pattern = wanted.split('*').map((part) => part.replaceAll(/[^a-z0-9-]/g, ''));
  return new RegExp(`^${pattern.join('.*')}$`).test(name);
}

export type PlannedRound = { kind: Kind; seed: number };

/**
 * What the rounds of a run do: all kinds once, in seeded order, before any comes again, and then in another order.
 * A round's seed depends on the run's seed and on how often its kind has been there, on nothing else: alone, with
 * its seed, it does the same again.
 */
export function planRounds(kinds: readonly Kind[], seed: number, rounds: number): PlannedRound[] {
  const planned: PlannedRound[] = [];
  for (let cycle = 0; planned.length < rounds && kinds.length > 0; cycle += 1) {
    const random = openRandom(seed, `order ${cycle}`);
    const order = kinds
      .map((kind) => ({ kind, rank: random.float() }))
      .toSorted((a, b) => a.rank - b.rank);
    planned.push(...order.map(({ kind }) => ({ kind, seed: seed + cycle * 1_000_003 })));
  }
  return planned.slice(0, rounds);
}
