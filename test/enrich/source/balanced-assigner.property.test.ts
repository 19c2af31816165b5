import { array, assert, constant, integer, oneof, property, record } from 'fast-check';
import type { GroupPartitionsAssigner } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { balancedAssigner } from '../../../enrich/source/balanced-assigner.ts';

const topic = 'clicks';
/** Partitions by member. */
type Owned = ReadonlyMap<string, readonly number[]>;

function assign(owned: Owned, count: number, generations: ReadonlyMap<string, number> = new Map()) {
  type Words = Parameters<GroupPartitionsAssigner>;
  const members: Words[1] = new Map(
    Array.from(owned, ([memberId, partitions]) => [
      memberId,
      {
        memberId,
        version: 1,
        topics: [topic],
        ownedPartitions: partitions.length === 0 ? [] : [{ topic, partitions: [...partitions] }],
        generationId: partitions.length === 0 ? -1 : (generations.get(memberId) ?? 7),
      },
    ]),
  );
  const metadata = {
    topics: new Map([[topic, { partitionsCount: count }]]),
  } as unknown as Words[3];
  const given = balancedAssigner('leader', members, new Set([topic]), metadata);
  return new Map(
    given.map(({ memberId, assignments }) => [memberId, assignments.get(topic)?.partitions ?? []]),
  );
}

/** Has members join again until nobody has to give anything up, as the client does. */
function settle(owned: Owned, count: number): { shares: Owned; rounds: number } {
  let before = owned;
  for (let rounds = 1; ; rounds++) {
    const shares = assign(before, count);
    const givesUp = [...before].some(([id, had]) => had.some((p) => !shares.get(id)?.includes(p)));
    if (!givesUp) return { shares, rounds };
    before = shares;
  }
}

const members = (sizes: Owned): number[] => [...sizes.values()].map((own) => own.length);

test('the fourth of four members gets one of six partitions', () => {
  const three = new Map([
    ['a', [0, 3]],
    ['b', [1, 4]],
    ['c', [2, 5]],
    ['d', []],
  ]);
  const { shares, rounds } = settle(three, 6);
  expect(members(shares).toSorted((a, b) => a - b)).toEqual([1, 1, 2, 2]);
  expect(rounds).toBe(2);
});

test('members come and go: every partition is somebody’s, shares differ by one, the fewest move', () => {
  const step = oneof(
    record({ kind: constant('comes' as const) }),
    record({ kind: constant('goes' as const), who: integer({ min: 0, max: 9 }) }),
  );
  assert(
    property(integer({ min: 0, max: 24 }), array(step, { maxLength: 12 }), (count, steps) => {
      let owned: Owned = new Map([['m0', []]]);
      let next = 1;
      for (const { kind, ...rest } of steps) {
        const changed = new Map(owned);
        const leaver = 'who' in rest ? [...changed.keys()][rest.who % changed.size] : '';
        if (kind === 'comes') changed.set(`m${next++}`, []);
        else if (changed.size > 1) changed.delete(leaver ?? '');
        const { shares, rounds } = settle(changed, count);
        const sizes = members(shares);
        expect([...shares.values()].flat().toSorted((a, b) => a - b)).toEqual(
          Array.from({ length: count }, (_, partition) => partition),
        );
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(rounds).toBeLessThanOrEqual(2);
        const moved = [...changed].flatMap(([id, had]) =>
          had.filter((p) => !shares.get(id)?.includes(p)),
        );
        const excess = [...changed.values()].reduce(
          (sum, had) => sum + Math.max(0, had.length - Math.floor(count / changed.size)),
          0,
        );
        expect(moved.length).toBeLessThanOrEqual(excess);
        expect(assign(shares, count)).toEqual(shares);
        owned = shares;
      }
    }),
  );
});

test('whatever members claim: nothing is given to two, or to one while another claims it', () => {
  const claim = record({
    partitions: array(integer({ min: 0, max: 11 })),
    generation: integer({ min: 5, max: 7 }),
  });
  assert(
    property(
      integer({ min: 1, max: 12 }),
      array(claim, { minLength: 1, maxLength: 5 }),
      (count, claims) => {
        const owned = new Map(
          claims.map(({ partitions }, i) => [`m${i}`, [...new Set(partitions)]]),
        );
        const generations = new Map(claims.map(({ generation }, i) => [`m${i}`, generation]));
        const shares = assign(owned, count, generations);
        const all = [...shares.values()].flat();
        expect(new Set(all).size).toBe(all.length);
        expect(all.every((partition) => partition < count)).toBe(true);
        const held = [...owned].filter(([, partitions]) => partitions.length > 0);
        const newest = Math.max(...held.map(([id]) => generations.get(id) ?? 0));
        for (const [id, partitions] of held) {
          if (generations.get(id) !== newest) continue;
          const others = [...shares]
            .filter(([other]) => other !== id)
            .flatMap(([, given]) => given);
          expect(others.filter((p) => partitions.includes(p))).toEqual([]);
        }
      },
    ),
  );
});
