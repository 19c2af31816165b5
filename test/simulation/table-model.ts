import type { ManifestEntry } from '@iceberg-js/rest-client-shim/manifest/manifest.ts';
import { decodeManifest } from '@iceberg-js/rest-client-shim/manifest/manifest.ts';
import { decodeManifestList } from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import type { ManifestFile } from '@iceberg-js/rest-client-shim/manifest/manifest-list.ts';
import type { PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import type { Snapshot, TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { leavesOf } from './file-rows.ts';
import type { FileRows } from './file-rows.ts';
import { Violation } from './violation.ts';

/** Where the bytes of the table lie, and what its data files hold. */
export type TableFiles = {
  bytes: (location: string) => Uint8Array | undefined;
  rows: (location: string) => FileRows | undefined;
};

/** One row of a table by column name. */
export type NamedRow = Readonly<Record<string, PartitionValue>>;

/** What a pipeline has committed, as the ranges and not the rows tell. */
export type PipelineState = {
  commitId: string;
  /** The `streamKey` of what the position counts in. */
  stream: string;
  next: ReadonlyMap<number, number>;
};

/** One commit of ours as its snapshot's summary tells. */
export type CommitSummary = {
  pipeline: string;
  commitId: string;
  position: { cluster: string; topic: string; topicId: string; next: Record<string, string> };
  state: { commitId: string; pending: { commitId: string; files: { location: string }[] }[] };
  ranges: Record<string, [string, string]>;
  counts: { rows: number; rejects: number; filtered: Record<string, string> };
  dimensions: Record<string, { topicId: string; next: Record<string, string> }>;
};

/** Reads the summary of a snapshot of ours; undefined for one by somebody else. */
export function readSummary({ summary }: Snapshot): CommitSummary | undefined {
  const pipeline = summary['tributary.pipeline'];
  if (pipeline === undefined) return undefined;
  const part = (name: string): unknown => JSON.parse(summary[`tributary.${name}`] ?? '{}');
  return {
    pipeline,
    commitId: summary['tributary.commit-id'] ?? '',
    position: part('position') as CommitSummary['position'],
    state: part('state') as CommitSummary['state'],
    ranges: part('ranges') as CommitSummary['ranges'],
    counts: part('counts') as CommitSummary['counts'],
    dimensions: part('dimensions') as CommitSummary['dimensions'],
  };
}

/**
 * A table as everyone outside sees it, snapshot by snapshot. What it is told of a commit is checked against what
 * it knows of the parent; positions and files of every snapshot are kept, so that a roll-back has one to go to.
 */
export class TableModel {
  readonly #files: TableFiles;
  readonly #states = new Map<bigint, ReadonlyMap<string, PipelineState>>();
  readonly #live = new Map<bigint, readonly string[]>();
  readonly #entries = new Map<string, readonly ManifestEntry[]>();
  readonly #fields = new Map<number, string>();
  readonly #owners = new Map<string, string>();
  readonly #taken: Map<string, number>;
  metadata: TableMetadata;

  /**
   * `taken` is the highest position that any commit to a table of the name ever had, rolled back ones too, by
   * stream and partition.
   */
  constructor(files: TableFiles, metadata: TableMetadata, taken: Map<string, number>) {
    this.#files = files;
    this.#taken = taken;
    this.metadata = metadata;
    this.#noteFields(metadata);
  }

  /** What stands at the head, by pipeline. */
  get states(): ReadonlyMap<string, PipelineState> {
    return this.statesAt(this.metadata.currentSnapshotId);
  }

  statesAt(snapshotId: bigint | undefined): ReadonlyMap<string, PipelineState> {
    return (snapshotId === undefined ? undefined : this.#states.get(snapshotId)) ?? new Map();
  }

  /** Locations of the live data files of a snapshot. */
  liveAt(snapshotId: bigint | undefined): readonly string[] {
    return (snapshotId === undefined ? undefined : this.#live.get(snapshotId)) ?? [];
  }

  rowsOf(location: string): FileRows {
    const rows = this.#files.rows(location);
    if (rows === undefined)
      throw new Violation(10, `${location} is in the table and was never uploaded`);
    return rows;
  }

  named(location: string): NamedRow[] {
    const { fieldIds, rows } = this.rowsOf(location);
    const names = fieldIds.map((id) => this.#fieldName(id));
    return rows.map((row) => Object.fromEntries(names.map((name, j) => [name, row[j] ?? null])));
  }

  /** The pipeline that a file was committed by. */
  ownerOf(location: string): string {
    return this.#owners.get(location) ?? '';
  }

  own(locations: readonly string[], pipeline: string): void {
    for (const location of locations) this.#owners.set(location, pipeline);
  }

  /** Takes over new metadata; returns the files that a new snapshot has added. */
  advance(after: TableMetadata, snapshot: Snapshot | undefined): readonly string[] {
    const before = this.metadata;
    this.metadata = after;
    if (after.schemas !== before.schemas) this.#noteFields(after);
    if (snapshot === undefined) return [];
    const parentLive = this.liveAt(snapshot.parentSnapshotId);
    const live = this.#liveFiles(snapshot);
    this.#live.set(snapshot.snapshotId, live);
    this.#states.set(snapshot.snapshotId, this.statesAt(snapshot.parentSnapshotId));
    const known = new Set(parentLive);
    return live.filter((location) => !known.has(location));
  }

  /** Notes what a commit of ours has made of the position. */
  note(snapshotId: bigint, pipeline: string, state: PipelineState): void {
    this.#states.set(snapshotId, new Map(this.statesAt(snapshotId)).set(pipeline, state));
    for (const [partition, next] of state.next) {
      const key = `${state.stream}/${partition}`;
      this.#taken.set(key, Math.max(next, this.#taken.get(key) ?? 0));
    }
  }

  /** Below this offset every record was taken by some commit, even if that was rolled back since. */
  everTaken(stream: string, partition: number): number {
    return this.#taken.get(`${stream}/${partition}`) ?? 0;
  }

  /** Every file that a snapshot names is there, whole, and named once (INVARIANTS.md 10). */
  #liveFiles(snapshot: Snapshot): string[] {
    const list = this.#files.bytes(snapshot.manifestList);
    if (list === undefined) throw new Violation(10, `${snapshot.manifestList} is missing`);
    const live: string[] = [];
    for (const manifest of decodeManifestList(list)) {
      for (const { status, dataFile } of this.#manifestEntries(manifest)) {
        if (status !== 'deleted') live.push(dataFile.location);
      }
    }
    if (new Set(live).size < live.length) throw new Violation(5, 'a file is in the table twice');
    return live;
  }

  #manifestEntries(manifest: ManifestFile): readonly ManifestEntry[] {
    const bytes = this.#files.bytes(manifest.location);
    if (bytes === undefined || BigInt(bytes.byteLength) !== manifest.lengthBytes) {
      throw new Violation(10, `${manifest.location} is missing or not whole`);
    }
    const known = this.#entries.get(manifest.location);
    if (known !== undefined) return known;
    const entries = decodeManifest(bytes, manifest);
    for (const { dataFile } of entries) this.#checkFile(dataFile);
    this.#entries.set(manifest.location, entries);
    return entries;
  }

  #checkFile({ location, fileSizeBytes, recordCount }: ManifestEntry['dataFile']): void {
    const bytes = this.#files.bytes(location);
    if (bytes === undefined)
      throw new Violation(10, `${location} is in the table and not in the store`);
    if (BigInt(bytes.byteLength) !== fileSizeBytes)
      throw new Violation(10, `${location} is not whole`);
    const { fieldIds, rows } = this.rowsOf(location);
    if (BigInt(rows.length) !== recordCount) {
      throw new Violation(5, `${location} has ${rows.length} rows, its entry says ${recordCount}`);
    }
    const stranger = fieldIds.find((id) => !this.#fields.has(id));
    if (stranger !== undefined) {
      throw new Violation(11, `${location} has field ${stranger}, the table never had it`);
    }
  }

  /** An id means one column for ever, of one type or of a wider one (INVARIANTS.md 11). */
  #noteFields({ schemas }: TableMetadata): void {
    for (const { fields } of schemas) {
      for (const { id, path, type } of leavesOf(fields)) {
        const meaning = `${path} ${JSON.stringify(type === 'long' ? 'int' : type)}`;
        const known = this.#fields.get(id);
        if (known !== undefined && known !== meaning) {
          throw new Violation(11, `field ${id} was ${known} and is ${meaning}`);
        }
        this.#fields.set(id, meaning);
      }
    }
  }

  #fieldName(id: number): string {
    return this.#fields.get(id)?.split(' ')[0] ?? String(id);
  }
}

/**
 * The position as a stranger reads it off the table: from the newest snapshot of ours that is left in the
 * ancestry of main, else from the property.
 */
export function readPosition(
  metadata: TableMetadata,
  pipeline: string,
): { commitId: string; next: ReadonlyMap<number, number> } | undefined {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  let at = metadata.currentSnapshotId;
  let text = metadata.properties[`tributary.${pipeline}`];
  while (at !== undefined) {
    const snapshot = byId.get(at);
    if (snapshot?.summary['tributary.pipeline'] === pipeline) {
      text = snapshot.summary['tributary.state'];
      break;
    }
    at = snapshot?.parentSnapshotId;
  }
  if (text === undefined) return undefined;
  const { commitId, position } = JSON.parse(text) as {
    commitId: string;
    position: { next: Record<string, string> };
  };
  return { commitId, next: toNumbers(position.next) };
}

export function toNumbers(next: Readonly<Record<string, string>>): Map<number, number> {
  return new Map(
    Object.entries(next).map(([partition, offset]) => [Number(partition), Number(offset)]),
  );
}

export function sameNext(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([partition, next]) => b.get(partition) === next);
}
