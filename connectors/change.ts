/**
 * One change of a source row, decoded from a Debezium record, as the state applies it.
 * `sourcePosition` orders changes of one source (PostgreSQL: the LSN); a change that is not newer than
 * what the state holds for the row changes nothing.
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

/** Everything a record of a change topic can mean. A tombstone changes nothing: the delete before it did. */
export type Change =
  | RowChange
  | { kind: 'tombstone'; rowKey: Readonly<Record<string, unknown>> }
  | { kind: 'truncate'; sourcePosition: bigint }
  | { kind: 'reject'; reject: ChangeReject };

export type ChangeReject = {
  /** `unknown-op`, `missing-key`, `missing-after`, `missing-position`, `not-an-envelope` … */
  reason: string;
  message: string;
};
