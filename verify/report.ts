import type { LedgerLine } from './commit-ledger.ts';
import { VIOLATIONS, type ViolationKind } from './violations.ts';

/** One kind of violation, what it means, how often it was found, and the first examples. */
type Finding = {
  kind: ViolationKind;
  meaning: string;
  count: number;
  examples: readonly string[];
};

/** What one check says. Plain JSON: numbers and texts only. Sound when there are no findings. */
export type Report = {
  title: string;
  facts: Readonly<Record<string, number | string>>;
  findings: readonly Finding[];
  /** What could not be checked, and why; what is worth knowing. */
  notes: readonly string[];
  /** The commits of the table, oldest first, where the check is about them. */
  commits?: readonly LedgerLine[];
};

/** Gathers findings by kind; examples are bounded, counts are not. */
export type Findings = {
  add(kind: ViolationKind, example: () => string, count?: number): void;
  list(): Finding[];
};

const EXAMPLES_MAX = 5;

export function openFindings(): Findings {
  const byKind = new Map<ViolationKind, Finding & { examples: string[] }>();
  return {
    add(kind, example, count = 1) {
      const known = byKind.get(kind);
      const finding = known ?? { kind, meaning: VIOLATIONS[kind], count: 0, examples: [] };
      byKind.set(kind, finding);
      finding.count += count;
      if (finding.examples.length < EXAMPLES_MAX) finding.examples.push(example());
    },
    list: () => [...byKind.values()],
  };
}

export function isSound(report: Report): boolean {
  return report.findings.length === 0;
}

/** A report as lines for a terminal: the verdict, the facts as a table, violations with meaning and examples. */
export function renderReport(report: Report): string {
  const width = Math.max(0, ...Object.keys(report.facts).map((name) => name.length));
  const lines = [`${isSound(report) ? 'ok    ' : 'FAULTY'}  ${report.title}`];
  for (const [name, value] of Object.entries(report.facts)) {
    lines.push(`        ${name.padEnd(width)}  ${value}`);
  }
  for (const { kind, meaning, count, examples } of report.findings) {
    lines.push(`        ${count} ${kind}: ${meaning}`);
    lines.push(...examples.map((example) => `          ${example}`));
  }
  lines.push(...report.notes.map((note) => `        note: ${note}`));
  return lines.join('\n');
}
