/** A partition value as it stands in a partition tuple (the result type of the transform). */
export type PartitionValue = null | boolean | number | bigint | string | Uint8Array;

/** One data file with the metrics that engines prune by. Source: Iceberg spec, "Manifests". */
export type DataFile = {
  location: string;
  format: 'PARQUET';
  specId: number;
  /** In the order of the spec's fields. */
  partitionTuple: readonly PartitionValue[];
  recordCount: bigint;
  fileSizeBytes: bigint;
  columnSizes: ReadonlyMap<number, bigint>;
  valueCounts: ReadonlyMap<number, bigint>;
  nullValueCounts: ReadonlyMap<number, bigint>;
  nanValueCounts: ReadonlyMap<number, bigint>;
  /** Iceberg single-value serialisation, strings and binary truncated to 16 (upper rounded up). */
  lowerBounds: ReadonlyMap<number, Uint8Array>;
  upperBounds: ReadonlyMap<number, Uint8Array>;
  splitOffsets: readonly bigint[];
  sortOrderId: number | undefined;
};
