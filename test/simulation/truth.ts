import type { DimensionName } from '../enrich/pipeline/records.ts';
import type { ClickSchemaName } from './click-schemas.ts';

/** What stands at one offset of the stream. */
export type StreamEntry =
  | {
      kind: 'click';
      userId: number;
      deviceId: string;
      url: string;
      eventTimeMs: number;
      /** What its producer writes with, and the fields in which that differs from the contract. */
      schema: ClickSchemaName;
      values: Readonly<Record<string, string | number | null>>;
    }
  | { kind: 'reject' }
  | { kind: 'invisible' };

/** The carried column of a source row; urls also have the url that they are joined by. */
export type SourceValue = { value: string; url?: string };

/** What stood at one offset of a change topic when it was written; compaction may have taken it away. */
export type ChangeEntry =
  | { kind: 'row'; rowKey: string | number; lsn: number; row: SourceValue | undefined }
  | { kind: 'tombstone'; rowKey: string | number }
  | { kind: 'reject' }
  | { kind: 'invisible' };

/** The source's own row: what a dimension must hold once everything has been read. */
export type SourceRow = { lsn: number; row: SourceValue | undefined };

/** Which stream: topics of one cluster and of another may have one id. */
export function streamKey(clusterId: string, topicId: string): string {
  return `${clusterId}/${topicId}`;
}

/** What was written to the logs, by whom writes to them: the oracle of every check. */
export class Truth {
  /** By `streamKey`, then by partition; the index of an entry is its offset. */
  readonly streams = new Map<string, StreamEntry[][]>();
  readonly changes = new Map<DimensionName, ChangeEntry[][]>();
  readonly source = new Map<DimensionName, Map<string | number, SourceRow>>();

  addStream(key: string, partitions: number): void {
    this.streams.set(
      key,
      Array.from({ length: partitions }, () => []),
    );
  }

  addDimension(dimension: DimensionName, partitions: number): void {
    this.changes.set(
      dimension,
      Array.from({ length: partitions }, () => []),
    );
    this.source.set(dimension, new Map());
  }

  stream(key: string, partition: number): StreamEntry[] {
    return this.streams.get(key)?.[partition] ?? [];
  }

  change(dimension: DimensionName, partition: number): ChangeEntry[] {
    return this.changes.get(dimension)?.[partition] ?? [];
  }

  rows(dimension: DimensionName): Map<string | number, SourceRow> {
    return this.source.get(dimension) ?? new Map<string | number, SourceRow>();
  }
}
