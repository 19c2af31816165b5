/** One kind of fault, how often it was found, and the first examples. */
type Finding = { kind: string; count: number; examples: readonly string[] };

/** What one check says. Plain JSON: numbers and texts only. Sound when there are no findings. */
export type Report = {
  title: string;
  facts: Readonly<Record<string, number | string>>;
  findings: readonly Finding[];
  /** What could not be checked, and why. */
  notes: readonly string[];
};

/** Gathers findings by kind; examples are bounded, counts are not. */
export type Findings = {
  add(kind: string, example: () => string, count?: number): void;
  list(): Finding[];
};

const EXAMPLES_MAX = 5;

export function openFindings(): Findings {
  const byKind = new Map<string, { kind: string; count: number; examples: string[] }>();
  return {
    add(kind, example, count = 1) {
      const finding = byKind.get(kind) ?? { kind, count: 0, examples: [] };
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

/** A report as lines for a terminal: the verdict, the facts as a table, faults with examples. */
export function renderReport(report: Report): string {
  const width = Math.max(0, ...Object.keys(report.facts).map((name) => name.length));
  const lines = [`${isSound(report) ? 'ok    ' : 'FAULTY'}  ${report.title}`];
  for (const [name, value] of Object.entries(report.facts)) {
    lines.push(`        ${name.padEnd(width)}  ${value}`);
  }
  for (const { kind, count, examples } of report.findings) {
    lines.push(`        ${count} ${kind}`);
    lines.push(...examples.map((example) => `          ${example}`));
  }
  lines.push(...report.notes.map((note) => `        note: ${note}`));
  return lines.join('\n');
}
