/**
 * One change of a source row, decoded from a Debezium record, as the state applies it.
 * `sourcePosition` orders changes of one source (PostgreSQL: the LSN); a change that is not newer than
 * what the state holds for the row changes nothing. A row that an incremental snapshot read stands at
 * `incrementalRead`: it is what the table held once all changes before it in the topic were made, whatever
 * their positions.
 */
export type RowChange =
  | {
      kind: 'upsert';
      sourcePosition: bigint;
      /** True for records read by an initial or incremental snapshot of Debezium (`op` r). */
      initialSnapshot: boolean;
      /** Key columns as decoded from the record key. */
      rowKey: Readonly<Record<string, unknown>>;
      after: Readonly<Record<string, unknown>>;
      /** Columns whose value is unchanged TOAST: the state keeps what it has. */
      unavailable: readonly string[];
    }
  | { kind: 'delete'; sourcePosition: bigint; rowKey: Readonly<Record<string, unknown>> };

/**
 * The row is gone. Debezium writes one after each delete, and then it says nothing new; compaction removes
 * the delete and leaves the tombstone, and `connectors resnapshot` writes one for a row that has vanished.
 */
export type Tombstone = { kind: 'tombstone'; rowKey: Readonly<Record<string, unknown>> };

/** Everything a record of a change topic can mean. */
export type Change =
  | RowChange
  | Tombstone
  | { kind: 'truncate'; sourcePosition: bigint }
  | { kind: 'reject'; reject: ChangeReject };

/** Why a record of a change topic can be no change of a row; they stand in the dead-letter table. */
export const CHANGE_REJECT_REASONS = [
  'unknown-framing',
  'unknown-schema-id',
  'truncated',
  'malformed',
  'invalid-utf8',
  'not-an-envelope',
  'not-a-row-key',
  'unknown-op',
  'missing-key',
  'missing-after',
  'missing-position',
  'invalid-key',
  'invalid-column',
  'schema-change',
] as const;

export type ChangeReject = {
  reason: (typeof CHANGE_REJECT_REASONS)[number];
  message: string;
};
