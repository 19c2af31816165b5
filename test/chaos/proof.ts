import { headSnapshot } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { Report } from '../../verify/report.ts';
import type { Proof } from './round.ts';

/** What the proofs of all rounds come to, or of none. */
export const nothingProved: Proof = {
  rows: 0,
  rejects: 0,
  lost: 0,
  doubled: 0,
  wrong: 0,
  findings: [],
};

/**
 * Sums up what `tributary verify` has found: everything that is amiss is lost, doubled or wrong, so that three
 * zeros mean that there is no finding at all.
 */
export function proofOf(reports: readonly Report[]): Proof {
  const sums = { lost: 0, doubled: 0, wrong: 0 };
  const findings: string[] = [];
  for (const { title, findings: found } of reports) {
    for (const { kind, count, examples } of found) {
      sums[classOf(kind)] += count;
      findings.push(`${count} ${kind} (${title}): ${examples.join('; ')}`);
    }
  }
  return { rows: factOf(reports, 'rows'), rejects: factOf(reports, 'rejects'), ...sums, findings };
}

function classOf(finding: string): 'lost' | 'doubled' | 'wrong' {
  if (/^missing|^gaps|neither row nor reject/.test(finding)) return 'lost';
  return /doubled|twice|both|overlaps/.test(finding) ? 'doubled' : 'wrong';
}

/** A number that one of the reports states. */
export function factOf(reports: readonly Report[], name: string): number {
  const value = reports.find(({ facts }) => name in facts)?.facts[name];
  if (value === undefined) throw new Error(`no report states "${name}"`);
  return Number(value);
}

/** Rows of the current snapshot, by the count that each writer keeps in its summary. */
export function totalRows(metadata: TableMetadata | undefined): number {
  const head = metadata === undefined ? undefined : headSnapshot(metadata);
  return Number(head?.summary['total-records'] ?? 0);
}

/** Adds a finding that no report has made. */
export function withFinding(proof: Proof, sort: 'lost' | 'doubled' | 'wrong', text: string): Proof {
  return { ...proof, [sort]: proof[sort] + 1, findings: [...proof.findings, text] };
}

export function isKept({ lost, doubled, wrong }: Proof): boolean {
  return lost === 0 && doubled === 0 && wrong === 0;
}
