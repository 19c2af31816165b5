import { expect } from 'vitest';
import { isSound, renderReport } from '../../verify/report.ts';
import type { Report } from '../../verify/report.ts';
import type { Lake } from './lake.ts';

export type Proof = { produced: number; rows: number; rejects: number; reports: Report[] };

/**
 * Holds that the table is what was produced: every offset once by the table's own account, every record of
 * the ledger with its values, and the same count by Trino. With `joins` every enriched value too.
 */
export async function proveExactlyOnce(lake: Lake, ...flags: '--joins'[]): Promise<Proof> {
  const { code, reports } = await lake.verify('--ledger', lake.ledger, ...flags);
  expect(reports.filter((report) => !isSound(report)).map(renderReport)).toEqual([]);
  expect(code).toBe(0);
  const [produced, waiting, unknown] = [
    factOf(reports, 'produced'),
    factOf(reports, 'not committed yet'),
    factOf(reports, 'sends of unknown outcome'),
  ];
  expect({ waiting, unknown }).toEqual({ waiting: 0, unknown: 0 });
  const rows = await lake.count(`select count(*) from ${lake.table}`);
  const rejects = await lake.count(`select count(*) from ${lake.deadLetter}`);
  const distinct = await lake.count(
    `select count(*) from (select distinct _kafka_partition, _kafka_offset from ${lake.table})`,
  );
  expect({ rows, distinct }).toEqual({ rows: produced - rejects, distinct: produced - rejects });
  return { produced, rows, rejects, reports };
}

/** A number that one of the reports states. */
export function factOf(reports: readonly Report[], name: string): number {
  const value = reports.find(({ facts }) => name in facts)?.facts[name];
  if (value === undefined) throw new Error(`no report states "${name}"`);
  return Number(value);
}
