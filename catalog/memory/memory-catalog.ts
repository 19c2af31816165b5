import { CatalogError } from '../error.ts';
import type {
  Catalog,
  CommitTableRequest,
  LoadedTable,
  PreparedCommit,
  TableIdentifier,
} from '../rest/catalog.ts';
import { applyUpdates } from '../spec/apply-updates.ts';
import { checkRequirements } from '../spec/check-requirements.ts';
import { newTableMetadata } from '../spec/new-table.ts';
import type { TableMetadata } from '../spec/table-metadata.ts';

/**
 * What becomes of one sending of a commit:
 * `apply` it is judged and answered as usual;
 * `fail` it is lost on the way there: never applied, the outcome unknown to the sender;
 * `apply-then-fail` its answer is lost: judged as usual, the outcome unknown to the sender;
 * `apply-twice` something on the way repeats it, and the sender gets the second answer;
 * `conflict` it is refused with 409, as if another writer had been faster;
 * `delay` the sender gives up on it, and it arrives only at `deliverDelayed`.
 */
export type CommitFault =
  'apply' | 'fail' | 'apply-then-fail' | 'apply-twice' | 'conflict' | 'delay';

/** The outside world of the twin, and the faults to inject. */
export type MemoryCatalogOptions = {
  clock: { nowMs: () => number };
  /** A new table's UUID. */
  uuid: () => string;
  /** Where tables are laid out, a URI without a slash at its end; `memory://lake` by default. */
  warehouse?: string;
  /** Asked once for every sending, resends included; everything is applied without it. */
  onCommit?: (request: CommitTableRequest) => CommitFault;
  /** Told, in the very step, of every commit that was applied. */
  onApplied?: (applied: AppliedCommit) => void;
};

/** A commit that has changed a table. */
export type AppliedCommit = {
  request: CommitTableRequest;
  before: TableMetadata;
  after: TableMetadata;
};

/** A catalog whose network can be watched from both ends. */
export interface MemoryCatalog extends Catalog {
  /** Lets the delayed commits arrive, oldest first, and tells how many of them were applied. */
  deliverDelayed(): number;
}

/**
 * The in-memory twin of a REST catalog server: it keeps the contract of `Catalog`, judges
 * requirements and updates as the reference implementation does, and can be told to lose, repeat
 * or delay commits. One call is one atomic step; nothing is stored outside the process.
 * Errors: as `Catalog` documents them; an update that a server refuses with 400 is
 * `commit-unknown`, as it is over the wire.
 */
export function createMemoryCatalog(options: MemoryCatalogOptions): MemoryCatalog {
  const warehouse = options.warehouse ?? 'memory://lake';
  const namespaces = new Set<string>();
  const { nowMs } = options.clock;
  const { onApplied } = options;
  const server: Server = { tables: new Map(), delayed: [], nowMs, onApplied };

  return {
    async ensureNamespace(namespace) {
      namespaces.add(JSON.stringify(namespace));
    },
    async loadTable(identifier) {
      const metadata = server.tables.get(keyOf(identifier));
      return metadata === undefined ? undefined : { ...loaded(metadata), serverTimeMs: nowMs() };
    },
    async createTable(request) {
      const { identifier } = request;
      if (!namespaces.has(JSON.stringify(identifier.namespace))) {
        throw new CatalogError('config', `namespace ${identifier.namespace.join('.')} is missing`);
      }
      if (server.tables.has(keyOf(identifier))) {
        throw new CatalogError('conflict', `table ${nameOf(identifier)} exists already`);
      }
      const metadata = newTableMetadata(request, {
        location: request.location ?? `${warehouse}/${nameOf(identifier, '/')}`,
        tableUuid: options.uuid(),
        nowMs: nowMs(),
      });
      server.tables.set(keyOf(identifier), metadata);
      return loaded(metadata);
    },
    async dropTable(identifier) {
      if (!server.tables.delete(keyOf(identifier))) {
        throw new CatalogError('config', `table ${nameOf(identifier)} does not exist`);
      }
    },
    prepareCommit(request): PreparedCommit {
      // What is sent is fixed now, as it is over the wire: later changes to the request are not sent.
      const sent = structuredClone(request);
      return { send: async () => answer(server, sent, options.onCommit?.(sent) ?? 'apply') };
    },
    deliverDelayed() {
      const arriving = server.delayed.splice(0);
      return arriving.filter((request) => succeeds(() => applyCommit(server, request))).length;
    },
  };
}

type Server = {
  tables: Map<string, TableMetadata>;
  delayed: CommitTableRequest[];
  nowMs: () => number;
  onApplied: MemoryCatalogOptions['onApplied'];
};

function answer(server: Server, request: CommitTableRequest, fault: CommitFault): LoadedTable {
  switch (fault) {
    case 'apply':
      return applyCommit(server, request);
    case 'fail':
      throw unknownOutcome(request);
    case 'apply-then-fail':
      succeeds(() => applyCommit(server, request));
      throw unknownOutcome(request);
    case 'apply-twice':
      succeeds(() => applyCommit(server, request));
      return applyCommit(server, request);
    case 'conflict':
      throw new CatalogError('conflict', 'Requirement failed: branch main has changed');
    case 'delay':
      server.delayed.push(request);
      throw unknownOutcome(request);
  }
}

function applyCommit(server: Server, request: CommitTableRequest): LoadedTable {
  const metadata = server.tables.get(keyOf(request.identifier));
  if (metadata === undefined) {
    throw new CatalogError('fenced', `table ${nameOf(request.identifier)} is gone`);
  }
  const failure = checkRequirements(metadata, request.requirements);
  if (failure !== undefined) {
    throw new CatalogError('conflict', `Requirement failed: ${failure.message}`, {
      context: { table: nameOf(request.identifier), requirement: failure.type },
    });
  }
  const updated = applyOrRefuse(metadata, request, server.nowMs());
  server.tables.set(keyOf(request.identifier), updated);
  server.onApplied?.({ request, before: metadata, after: updated });
  return loaded(updated);
}

function applyOrRefuse(
  metadata: TableMetadata,
  request: CommitTableRequest,
  nowMs: number,
): TableMetadata {
  try {
    return applyUpdates(metadata, request.updates, nowMs);
  } catch (error) {
    if (!(error instanceof CatalogError) || error.kind !== 'config') throw error;
    throw new CatalogError('commit-unknown', `400: ${error.message}`, {
      context: { table: nameOf(request.identifier), status: 400 },
      cause: error,
    });
  }
}

/** Whether an action went through; a refusal by the catalog is swallowed, a bug is not. */
function succeeds(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof CatalogError) return false;
    throw error;
  }
}

function unknownOutcome(request: CommitTableRequest): CatalogError {
  return new CatalogError(
    'commit-unknown',
    `no answer to the commit to ${nameOf(request.identifier)}`,
    { context: { table: nameOf(request.identifier) } },
  );
}

function loaded(metadata: TableMetadata): LoadedTable {
  return { metadata, metadataLocation: undefined, config: {} };
}

function keyOf(identifier: TableIdentifier): string {
  return JSON.stringify([identifier.namespace, identifier.name]);
}

function nameOf(identifier: TableIdentifier, separator = '.'): string {
  return [...identifier.namespace, identifier.name].join(separator);
}
