import { expect, it } from 'vitest';
import { loadKinds, planRounds } from './kind-list.ts';
import { runRounds } from './run-rounds.ts';

/** A small share of `make chaos`: one kill, one answer that got lost, one request that came twice. */
const share = ['kill-rejects-commit-before', 'catalog-504-applied', 'catalog-twice-second'];

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

it(
  'a kill, a lost answer and a doubled request lose nothing and double nothing (INVARIANTS.md 3, 4, 5)',
  { timeout: 180_000 },
  async () => {
    const kinds = (await loadKinds()).flatMap(({ kind }) =>
      share.includes(kind.name) ? [kind] : [],
    );
    const seed = Number(process.env['TRIBUTARY_TEST_SEED'] ?? Date.now() % 1_000_000);
    const rounds = planRounds(kinds, seed, share.length);
    const results = await runRounds({ rounds, env: process.env, print });
    expect(results.map(({ kind }) => kind.name).toSorted()).toEqual(share.toSorted());
    expect(results.flatMap(({ failure }) => failure ?? [])).toEqual([]);
    for (const { proof } of results) {
      expect(proof.rows).toBeGreaterThan(4_000);
      expect(proof.rejects).toBeGreaterThan(0);
    }
  },
);
