import type { Report } from '../../verify/report.ts';
import { createTableBench, rowsAt, type BenchCommit, type TableBench } from './table-bench.ts';

/** The whole numbers of [start, end). */
export const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

/** Two sound commits over two partitions: rows, a reject and three filtered offsets. */
export const SOUND: readonly [BenchCommit, BenchCommit] = [
  {
    ranges: { 0: [10, 30], 1: [0, 8] },
    rows: [...rowsAt(0, range(10, 27)), ...rowsAt(1, range(0, 7))],
    rejects: rowsAt(1, [7]),
    filtered: { 0: 3 },
    dimensions: { urls: { 0: 5 } },
  },
  {
    ranges: { 0: [30, 40], 1: [8, 9] },
    rows: [...rowsAt(0, range(30, 40)), ...rowsAt(1, [8])],
    dimensions: { urls: { 0: 6 } },
  },
];

/** A bench with these commits, by default the sound ones. */
export async function benchOf(commits: readonly BenchCommit[] = SOUND): Promise<TableBench> {
  const bench = await createTableBench();
  for (const commit of commits) await bench.commit(commit);
  return bench;
}

/** Count by kind of what a report found. */
export const kindsOf = ({ findings }: Report): Record<string, number> =>
  Object.fromEntries(findings.map(({ kind, count }) => [kind, count]));
