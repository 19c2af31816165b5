import type { Catalog, TableIdentifier } from '../rest/catalog.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { TableMetadata, TableRequirement, TableUpdate } from '../spec/table-metadata.ts';
import type { TableSchema } from '../spec/table-schema.ts';
import type { DataFile } from '../manifest/data-file.ts';

/**
 * What the owner of an append says about one state of the table. It is asked anew for each parent,
 * so an acceptance rule is always judged against the very snapshot that the commit asserts.
 */
export type AppendVerdict =
  /** Go: these go into the new snapshot's summary and, in the same request, the table's properties. */
  | {
      kind: 'append';
      summary: Readonly<Record<string, string>>;
      properties: Readonly<Record<string, string>>;
      /** What becomes of the table's schema in the same request. */
      evolution?: SchemaEvolution | undefined;
    }
  /** The table's schema has moved: the files are to be written again, with other field ids. */
  | { kind: 'rewrite' }
  /** Our own commit is in this table already. */
  | { kind: 'landed' }
  /** The append must not land (a duplicate, a zombie, a gap): give it up; its files become orphans. */
  | { kind: 'drop'; reason: string };

/** A schema that goes out with the rows that need it. Every file must have been written for it. */
export type SchemaEvolution = {
  /** With the id that the catalog will give it, which the snapshot names. */
  tableSchema: TableSchema;
  /** What must still be so of the schema that it was derived from. */
  requirements: readonly TableRequirement[];
  updates: readonly TableUpdate[];
};

export type AppendOptions = {
  catalog: Catalog;
  store: ObjectStore;
  identifier: TableIdentifier;
  /** The table that the data files were written for; another UUID is `fenced`. */
  tableUuid: string;
  commitId: string;
  /** May be empty: progress without rows is an empty append. */
  dataFiles: readonly DataFile[];
  decide: (metadata: TableMetadata) => AppendVerdict;
  clock: {
    nowMs: () => number;
    /** Never goes back, and does not jump when somebody sets the clock. */
    elapsedMs: () => number;
    sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
    random: () => number;
  };
  limits: { attemptsMax: number; unknownWaitMsMax: number; backoffMsMax: number };
  /** Told of everything but a first-attempt success, with all that is needed to understand it. */
  onEvent?: (event: AppendEvent) => void;
  signal?: AbortSignal;
};

export type AppendEvent = {
  step:
    | 'unavailable'
    | 'conflict'
    | 'unknown-outcome'
    | 'resend'
    | 'rebase'
    | 'landed-elsewhere'
    | 'dropped';
  attempt: number;
  message: string;
  context: Readonly<Record<string, unknown>>;
};

export type AppendOutcome =
  | { kind: 'committed'; metadata: TableMetadata; snapshotId: bigint; attempts: number }
  /** Found in the table after an unknown outcome or by an identical resend. */
  | { kind: 'landed'; metadata: TableMetadata; attempts: number }
  | { kind: 'dropped'; metadata: TableMetadata; reason: string }
  /** Not in the table: `decide` wants other files, and what was sent before is void or bears the same commit id. */
  | { kind: 'rewrite'; metadata: TableMetadata };
