/**
 * Where data files, manifests and metadata live. A location is a full URI (`s3://bucket/key`,
 * `file:///path`, `memory://bucket/key`). Implementations: S3, local files, memory; one contract suite.
 * Errors by kind: `unavailable` (retry), `conflict` (`put` with `ifAbsent` onto an existing object),
 * `config` (denied, no such bucket, unsupported scheme), `corrupt` (a missing object on `get`, a range
 * beyond its end).
 */
export interface ObjectStore {
  put(location: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void>;
  get(location: string): Promise<Uint8Array>;
  /** Bytes [start, end) of the object. */
  getRange(location: string, start: number, end: number): Promise<Uint8Array>;
  /** Size in bytes, or undefined when there is no such object. */
  size(location: string): Promise<number | undefined>;
  /** All objects whose location starts with the prefix, in no order that can be relied on. */
  list(prefix: string): AsyncIterable<{ location: string; sizeBytes: number; modifiedMs: number }>;
  /** Deleting what is not there is no error. */
  delete(location: string): Promise<void>;
}
