import type {
  CommitTableRequest,
  PreparedCommit,
} from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { Violation } from './violation.ts';

/** After so long an unknown outcome is given up, looked for and staged anew; 30 s less the longest back-off. */
const UNKNOWN_GIVEN_UP_MS = 24_000;

type Sent = {
  prepared: PreparedCommit;
  parent: bigint | null;
  table: string;
  /** Since when its outcome is unknown. */
  unknownSinceMs: number | undefined;
  /** The table's schema as the process had seen it last. */
  schemaId: number | undefined;
  /** It has seen that the head is no longer the parent that this request asserts, or that the schema is another. */
  sawMove: boolean;
};

/**
 * What one process sends to the catalog, watched from outside: after an unknown outcome the identical request
 * only, until head or schema were seen to move or the wait is over; and nothing is ever dropped (INVARIANTS.md 4).
 */
export class SentCommits {
  readonly #nowMs: () => number;
  readonly #report: (violation: Violation) => void;
  readonly #byCommit = new Map<string, Sent>();
  /** By table: its schema as last seen. */
  readonly #schemaIds = new Map<string, number>();
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
    this.#byCommit.set(commitId, {
      prepared,
      parent,
      table,
      unknownSinceMs: undefined,
      schemaId: this.#schemaIds.get(table),
      sawMove: false,
    });
  }

  failed(prepared: PreparedCommit, error: unknown): void {
    const kind = (error as { kind?: unknown }).kind;
    for (const sent of this.#byCommit.values()) {
      if (sent.prepared !== prepared || kind !== 'commit-unknown') continue;
      sent.unknownSinceMs ??= this.#nowMs();
    }
  }

  seen(table: string, { currentSnapshotId, currentSchemaId }: TableMetadata): void {
    for (const sent of this.#byCommit.values()) {
      if (sent.table !== table) continue;
      if ((currentSnapshotId ?? null) !== sent.parent || currentSchemaId !== sent.schemaId)
        sent.sawMove = true;
    }
    this.#schemaIds.set(table, currentSchemaId);
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
