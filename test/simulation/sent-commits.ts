import type {
  CommitTableRequest,
  PreparedCommit,
} from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import { Violation } from './violation.ts';

/** After so long an unknown outcome is given up, looked for and staged anew; 30 s less the longest back-off. */
const UNKNOWN_GIVEN_UP_MS = 24_000;

type Sent = {
  prepared: PreparedCommit;
  parent: bigint | null;
  table: string;
  /** Since when its outcome is unknown. */
  unknownSinceMs: number | undefined;
  /** The process has seen that the head is no longer the parent that this request asserts. */
  sawMove: boolean;
};

/**
 * What one process sends to the catalog, watched from outside: after an unknown outcome the identical request
 * only, until the head was seen to move or the wait is over; and nothing is ever dropped (INVARIANTS.md 4).
 */
export class SentCommits {
  readonly #nowMs: () => number;
  readonly #report: (violation: Violation) => void;
  readonly #byCommit = new Map<string, Sent>();
  readonly #refused = new WeakSet<PreparedCommit>();

  constructor(nowMs: () => number, report: (violation: Violation) => void) {
    this.#nowMs = nowMs;
    this.#report = report;
  }

  sending(prepared: PreparedCommit, request: CommitTableRequest): void {
    const table = request.identifier.name;
    const commitId = `${table}/${commitIdOf(request)}`;
    const before = this.#byCommit.get(commitId);
    if (before?.prepared === prepared) return;
    if (before?.unknownSinceMs !== undefined && !before.sawMove) {
      const waitedMs = this.#nowMs() - before.unknownSinceMs;
      if (waitedMs < UNKNOWN_GIVEN_UP_MS) {
        const what = `commit ${commitId} was staged anew ${waitedMs} ms after an unknown outcome`;
        this.#report(new Violation(4, `${what}, while main stood still`));
      }
    }
    const parent = parentOf(request);
    const sent = { prepared, parent, table, unknownSinceMs: undefined, sawMove: false };
    this.#byCommit.set(commitId, sent);
  }

  failed(prepared: PreparedCommit, error: unknown): void {
    const kind = (error as { kind?: unknown }).kind;
    for (const sent of this.#byCommit.values()) {
      if (sent.prepared !== prepared || kind !== 'commit-unknown') continue;
      sent.unknownSinceMs ??= this.#nowMs();
    }
  }

  seen(table: string, head: bigint | undefined): void {
    for (const sent of this.#byCommit.values()) {
      if (sent.table === table && (head ?? null) !== sent.parent) sent.sawMove = true;
    }
  }

  dropped(table: string): void {
    this.#report(new Violation(4, `a process dropped table ${table}`));
  }

  /** Whether a request may be refused for its token: once, since a fresh token follows. */
  mayRefuse(prepared: PreparedCommit): boolean {
    if (this.#refused.has(prepared)) return false;
    this.#refused.add(prepared);
    return true;
  }
}

function commitIdOf(request: CommitTableRequest): string {
  for (const update of request.updates) {
    if (update.action === 'add-snapshot')
      return update.snapshot.summary['tributary.commit-id'] ?? '';
  }
  return '';
}

function parentOf(request: CommitTableRequest): bigint | null {
  for (const requirement of request.requirements) {
    if (requirement.type === 'assert-ref-snapshot-id') return requirement.snapshotId;
  }
  return null;
}
