import { expect, it } from 'vitest';
import type { Report } from '../../verify/report.ts';
import { VIOLATIONS } from '../../verify/violations.ts';
import type { ViolationKind } from '../../verify/violations.ts';
import { isKept, proofOf } from './proof.ts';

function report(...kinds: [ViolationKind, number][]): Report {
  return {
    title: 'a check',
    facts: { rows: 10, rejects: 1 },
    findings: kinds.map(([kind, count]) => ({
      kind,
      meaning: VIOLATIONS[kind],
      count,
      examples: ['here'],
    })),
    notes: [],
  };
}

it('no finding is a promise that was kept', () => {
  const proof = proofOf([report()]);
  expect(proof).toMatchObject({ rows: 10, rejects: 1, lost: 0, doubled: 0, wrong: 0 });
  expect(isKept(proof)).toBe(true);
});

it('what is missing counts as lost, what is there twice as doubled, all else as wrong', () => {
  const proof = proofOf([report(['missing clicks', 3], ['doubled rows', 2], ['wrong joins', 1])]);
  expect(proof).toMatchObject({ lost: 3, doubled: 2, wrong: 1 });
  expect(isKept(proof)).toBe(false);
});

it('findings of several checks add up, and are told with their examples', () => {
  const proof = proofOf([report(['gaps between commits', 1]), report(['wrong rows', 4])]);
  expect(proof).toMatchObject({ lost: 1, wrong: 4 });
  expect(proof.findings).toEqual([
    '1 gaps between commits (a check): here',
    '4 wrong rows (a check): here',
  ]);
});
