import type { ContractFinding } from '../schemas/contract-finding.ts';
import type { CompatibilityLevel } from '../schemas/registry.ts';

/** One contract of pipeline.yaml, or the table that all of them make, and what it was held against. */
export type ContractReport = {
  /** The contract's name, or the table's. */
  contract: string;
  /** What the pipeline takes it for: `stream clicks`, `dimension users`, `table`. */
  role: string;
  against: string;
  /** `none` where there is nothing older yet; a table has no level. */
  level?: CompatibilityLevel | 'none';
  findings: readonly ContractFinding[];
};

export function isBreaking({ severity }: ContractFinding): boolean {
  return severity === 'breaking';
}

/** Whether there was nothing older to compare with. */
function isFirst({ level }: ContractReport): boolean {
  return level === 'none';
}

/** Each contract with what it breaks and what follows, then the sum. */
export function renderReports(reports: readonly ContractReport[]): string {
  const count = reports.flatMap(({ findings }) => findings).filter(isBreaking).length;
  const none = reports.every(isFirst) ? 'there is nothing to compare with' : 'nothing breaks';
  const sum = count === 0 ? none : `${count} breaking change${count === 1 ? '' : 's'}`;
  return [...reports.map(renderReport), sum].join('\n\n');
}

function renderReport({ contract, role, against, level, findings }: ContractReport): string {
  const heading = `${contract} (${role}) against ${against}`;
  if (level === 'none') return `${heading}: there is no older one`;
  const under = level === undefined ? heading : `${heading}, ${level}`;
  if (findings.length === 0) return `${under}: ok`;
  return [under, ...findings.map(renderFinding)].join('\n');
}

function renderFinding(finding: ContractFinding): string {
  const { severity, breaks, field, against, message, instead } = finding;
  const whom = severity === 'note' ? 'note' : `breaks ${breaks}`;
  const subject = field === '' ? 'the record' : field;
  const lines = [`  ${whom} (${against}): ${subject} ${message}`];
  if (instead !== '') lines.push(`    instead: ${instead}`);
  return lines.join('\n');
}
