import type {
  PartitionSpec,
  SortOrder,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from '../spec/table-metadata.ts';
import type { TableSchema } from '../spec/table-schema.ts';

/** A table by the levels of its namespace and its name. */
export type TableIdentifier = { namespace: readonly string[]; name: string };

/** A table as the catalog answered it: one state, not a live view. */
export type LoadedTable = {
  metadata: TableMetadata;
  metadataLocation: string | undefined;
  /** What the catalog's clock said in its answer, epoch ms; undefined where it did not tell. */
  serverTimeMs?: number | undefined;
  /** Table-scoped configuration of the catalog, for example vended storage credentials. */
  config: Readonly<Record<string, string>>;
};

/** A table to create. Ids in it are labels: the catalog assigns its own, and its answer has them. */
export type CreateTableRequest = {
  identifier: TableIdentifier;
  schema: TableSchema;
  partitionSpec: PartitionSpec;
  sortOrder: SortOrder;
  properties: Readonly<Record<string, string>>;
  /** Where the table's files go; the catalog chooses where this is absent. */
  location?: string;
};

/** One atomic commit: all updates if every requirement holds, else none. */
export type CommitTableRequest = {
  identifier: TableIdentifier;
  requirements: readonly TableRequirement[];
  updates: readonly TableUpdate[];
};

/**
 * A catalog of Iceberg tables. Two implementations keep the same contract suite:
 * the REST client and the in-memory twin.
 *
 * Errors, by kind: `unavailable` for reads that may be retried, a 404 that no catalog wrote among them;
 * `conflict` for a commit whose requirement failed (409) or a create of what exists; `commit-unknown` for
 * a commit whose outcome cannot be known (5xx, time-out, reset, any 4xx but 401, 403, 409, 419 and a 404
 * of the catalog itself); `fenced` for a commit to a table that the catalog says is gone (404 with an
 * error of type NoSuchTable or NoSuchNamespace); `unauthorized` for 401 and 419 that a token refresh did
 * not cure; `config` for 403 and for a missing table where the caller did not ask for `undefined`.
 */
export interface Catalog {
  ensureNamespace(namespace: readonly string[]): Promise<void>;
  /** Resolves to undefined when the table does not exist. */
  loadTable(identifier: TableIdentifier): Promise<LoadedTable | undefined>;
  createTable(request: CreateTableRequest): Promise<LoadedTable>;
  dropTable(identifier: TableIdentifier): Promise<void>;
  /** Serialises once: `send` may be called again and then repeats the identical bytes. */
  prepareCommit(request: CommitTableRequest): PreparedCommit;
}

/** One commit, fixed to the byte; errors of `send` as `Catalog` documents them. */
export interface PreparedCommit {
  send(): Promise<LoadedTable>;
}
