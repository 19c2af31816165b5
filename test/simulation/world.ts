import { readFileSync } from 'node:fs';
import { createMemoryCatalog } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import type { AppliedCommit } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import { createMemoryStore } from '@iceberg-js/rest-client-shim/memory/memory-store.ts';
import type { StoredObject } from '@iceberg-js/rest-client-shim/memory/memory-store.ts';
import type { ColumnBatch } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import type { Catalog, CreateTableRequest } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import type { TableSchema } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ContractSet } from '../../enrich/config/check-contracts.ts';
import { parsePipelineFile } from '../../enrich/config/load-pipeline.ts';
import type { PipelineConfig } from '../../enrich/config/pipeline-config.ts';
import { eventFields } from '../../enrich/pipeline/event-fields.ts';
import { MemoryLog } from '../../enrich/source/memory-log.ts';
import type { KeyValueStore } from '../../enrich/state/key-value-store.ts';
import { openMemoryStore } from '../../enrich/state/memory-store.ts';
import type { ProjectionFiles } from '../../enrich/state/projection-files.ts';
import { openMemoryFiles } from '../enrich/state/crashing-state.ts';
import type { Random } from '../../generate/random.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { encodeChange, encodeNotification, topicOf } from '../enrich/pipeline/records.ts';
import type { DimensionName } from '../enrich/pipeline/records.ts';
import { nextTurn, VirtualTime } from '../enrich/pipeline/virtual-time.ts';
import { encodeEntry, streamContract } from './click-schemas.ts';
import {
  checkDeadLetterCommit,
  checkEventsCommit,
  checkPositions,
  checkPropertiesUntouched,
} from './commit-checks.ts';
import { checkSchemaByOthers } from './schema-checks.ts';
import type { Sender, Surroundings } from './commit-checks.ts';
import { createTwinWriter, recordRows } from './file-rows.ts';
import type { FileRows, FileRowsRecorder } from './file-rows.ts';
import { Weather } from './outside.ts';
import type { DelayedCommit } from './ports.ts';
import { StateModel } from './state-model.ts';
import { readSummary, TableModel } from './table-model.ts';
import { streamKey, Truth } from './truth.ts';
import type { SourceRow, SourceValue, StreamEntry } from './truth.ts';
import { Violation } from './violation.ts';

const START_MS = 1_800_000_000_000;
export const EVENTS = { namespace: ['lake'], name: 'clicks' };
const DEAD_LETTERS = 'clicks_dead_letter';
const NOTIFICATIONS = '__debezium-notifications.app';
export const DIMENSIONS: readonly DimensionName[] = ['users', 'devices', 'urls'];
/** One carried column for each dimension. */
const COLUMN: Record<DimensionName, string> = { users: 'name', devices: 'os', urls: 'title' };

export const contracts: ContractSet = {
  stream: streamContract,
  dimensions: new Map([
    ['users', await loadContract('schemas', 'user')],
    ['devices', await loadContract('schemas', 'device')],
    ['urls', await loadContract('schemas', 'url')],
  ]),
};

const baseConfig = ((): PipelineConfig => {
  const parsed = parsePipelineFile(readFileSync('pipeline.yaml', 'utf8'), {}, () => '');
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  return parsed.config;
})();

/** How large the simulated world is. */
export type WorldSize = {
  dimensions: readonly DimensionName[];
  streamPartitions: number;
  dimensionPartitions: number;
  workers: number;
  rowsMax: number;
  intervalMs: number;
};

/** A state directory: what is stored, and what must be. */
export type StateDirectory = { store: KeyValueStore; files: ProjectionFiles; model: StateModel };

/**
 * Everything around the pipelines: the twins of Kafka, catalog and object store on virtual time, what was truly
 * written to the logs, and the checks that run at every effect. The first violation is kept in `violation`.
 */
export class World {
  readonly size: WorldSize;
  readonly config: PipelineConfig;
  readonly time: VirtualTime;
  readonly weather: Weather;
  readonly random: Random;
  readonly truth = new Truth();
  readonly objects = new Map<string, StoredObject>();
  readonly store: ObjectStore;
  readonly catalog: Catalog;
  readonly recorder: FileRowsRecorder;
  readonly fileRows = new Map<string, FileRows>();
  readonly models = new Map<string, TableModel>();
  readonly delayed: DelayedCommit[] = [];
  readonly trace: ((line: string) => void) | undefined;
  log: MemoryLog;
  clusterId = 'cluster-1';
  violation: Violation | undefined;
  /** What a process did is behind this number: it has changed if anything went on. */
  activity = 0;
  commits = 0;
  loadedEnds: Map<DimensionName, number[]> | undefined;
  readonly senders = new Map<string, Sender>();
  #lsn = 1_000;
  readonly #taken = new Map<string, Map<string, number>>();
  /** All changes of a row, by dimension and key. */
  readonly #history = new Map<string, SourceRow[]>();
  readonly #states = new Map<string, StateDirectory>();

  constructor(options: {
    size: WorldSize;
    random: Random;
    writer?: DataFileWriter;
    trace?: (line: string) => void;
  }) {
    const { size, random } = options;
    this.size = size;
    this.random = random;
    this.trace = options.trace;
    this.time = new VirtualTime(START_MS, () => this.#settle());
    this.weather = new Weather(random);
    this.config = configOf(size);
    this.recorder = recordRows(options.writer ?? createTwinWriter(), (schema, batch) => {
      this.activity += 1;
      this.check(() => this.#checkBatch(schema, batch));
    });
    this.store = createMemoryStore({ nowMs: this.time.nowMs, objects: this.objects });
    let tables = 0;
    const catalog = createMemoryCatalog({
      clock: this.time,
      uuid: () => `00000000-0000-4000-a000-${String(tables++).padStart(12, '0')}`,
      onApplied: (applied) => this.check(() => this.#applied(applied)),
    });
    this.catalog = {
      ...catalog,
      createTable: async (request: CreateTableRequest) => {
        const loaded = await catalog.createTable(request);
        this.watchTable(request.identifier.name, loaded.metadata);
        return loaded;
      },
    };
    this.log = this.openLog();
  }

  /** A Kafka cluster with empty topics. */
  openLog(): MemoryLog {
    const log = new MemoryLog({ clusterId: this.clusterId, pause: this.time.pause });
    log.createTopic('clicks', this.size.streamPartitions);
    for (const name of DIMENSIONS) {
      log.createTopic(topicOf[name], this.size.dimensionPartitions);
      if (!this.truth.changes.has(name))
        this.truth.addDimension(name, this.size.dimensionPartitions);
    }
    log.createTopic(NOTIFICATIONS, 1);
    return log;
  }

  async run(ms: number): Promise<void> {
    await this.time.run(ms);
    if (this.violation !== undefined) throw this.violation;
  }

  tell(line: string): void {
    this.trace?.(`${String(this.time.nowMs() - START_MS).padStart(7)} ms  ${line}`);
  }

  /** Runs a check; the first violation counts. */
  check(work: () => void): void {
    if (this.violation !== undefined) return;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.report(error);
    }
  }

  report = (violation: Violation): void => {
    this.tell(`VIOLATION of ${violation.invariant}: ${violation.message}`);
    this.violation ??= violation;
  };

  /** All that needs no time goes on: turns of the event loop until one changes nothing. */
  async #settle(): Promise<void> {
    let seen: number;
    do {
      seen = this.activity;
      await nextTurn();
    } while (seen !== this.activity && this.violation === undefined);
  }

  /** The stream that is written to now. */
  async openStream(): Promise<string> {
    const found = await this.log.describeTopic('clicks');
    const key = streamKey(this.clusterId, found?.topicId ?? '');
    this.truth.addStream(key, this.size.streamPartitions);
    return key;
  }

  /** The stream's topic is deleted and made again. */
  recreateStream(): Promise<string> {
    this.log.deleteTopic('clicks');
    this.log.createTopic('clicks', this.size.streamPartitions);
    return this.openStream();
  }

  /** All bootstrap addresses lead to another cluster, in which everything begins anew. */
  async changeCluster(): Promise<string> {
    this.clusterId = 'cluster-2';
    this.truth.changes.clear();
    this.truth.source.clear();
    this.#history.clear();
    this.loadedEnds = undefined;
    this.log = this.openLog();
    this.notify('COMPLETED');
    return this.openStream();
  }

  /** Somebody drops the events table and makes an empty one of its name. */
  async recreateTable(): Promise<boolean> {
    const metadata = (await this.catalog.loadTable(EVENTS))?.metadata;
    const [schema, partitionSpec, sortOrder] = [
      metadata?.schemas[0],
      metadata?.partitionSpecs[0],
      metadata?.sortOrders[0],
    ];
    if (schema === undefined || partitionSpec === undefined || sortOrder === undefined)
      return false;
    await this.catalog.dropTable(EVENTS);
    const properties = { 'format-version': '2' };
    const table = { identifier: EVENTS, schema, partitionSpec, sortOrder, properties };
    await this.catalog.createTable(table);
    return true;
  }

  state(name: string): StateDirectory {
    const known = this.#states.get(name);
    if (known !== undefined) return known;
    const opened = {
      store: openMemoryStore(),
      files: openMemoryFiles(),
      model: new StateModel(this.truth, this.size.dimensions),
    };
    this.#states.set(name, opened);
    return opened;
  }

  /**
   * INVARIANTS.md 12: a batch holds what its bound says, and one poll. INVARIANTS.md 11: its columns go by the ids
   * that the table gave them.
   */
  #checkBatch({ fields }: TableSchema, { rowCount, columns }: ColumnBatch): void {
    const lacking = fields.find(({ id, required }) => required && !columns.has(id));
    if (lacking !== undefined) throw new Violation(11, `no column has the id of ${lacking.name}`);
    const rowsMax = 2 * this.size.rowsMax;
    if (rowCount > rowsMax)
      throw new Violation(12, `a batch of ${rowCount} rows, ${rowsMax} at most`);
  }

  get surroundings(): Surroundings | undefined {
    const events = this.models.get(EVENTS.name);
    if (events === undefined) return undefined;
    return {
      truth: this.truth,
      dimensions: this.size.dimensions,
      events,
      deadLetters: this.models.get(DEAD_LETTERS),
      senderOf: (commitId) => this.senders.get(commitId.split('-')[0] ?? ''),
      loadedEnds: this.loadedEnds,
    };
  }

  /** Takes a table into the checks, before its first commit. */
  watchTable(name: string, metadata: TableMetadata): TableModel {
    const files = {
      bytes: (location: string) => this.objects.get(location)?.bytes,
      rows: (location: string) => this.fileRows.get(location),
    };
    const taken = this.#taken.get(name) ?? new Map<string, number>();
    this.#taken.set(name, taken);
    const model = new TableModel(files, metadata, taken);
    this.models.set(name, model);
    return model;
  }

  #applied({ request, before, after }: AppliedCommit): void {
    const { name } = request.identifier;
    const known = this.models.get(name);
    const model =
      known?.metadata.tableUuid === before.tableUuid ? known : this.watchTable(name, before);
    const added = request.updates.find((update) => update.action === 'add-snapshot')?.snapshot;
    const addedFiles = model.advance(after, added);
    const summary = added === undefined ? undefined : readSummary(added);
    if (added === undefined || summary === undefined) {
      checkPropertiesUntouched(before, after);
      checkSchemaByOthers(before, after);
      this.tell(`${name}: commit by others, head ${String(after.currentSnapshotId)}`);
    } else {
      this.commits += 1;
      this.tell(`${name}: commit ${summary.commitId} ${JSON.stringify(summary.ranges)}`);
      const landed = { before, after, snapshot: added, summary, addedFiles };
      const around = this.surroundings;
      if (around === undefined) throw new Violation(5, 'dead letters came before any events');
      const check = name === EVENTS.name ? checkEventsCommit : checkDeadLetterCommit;
      model.note(added.snapshotId, summary.pipeline, check(around, landed));
    }
    if (name === EVENTS.name && !this.rolledBack) checkPositions(model);
  }

  /** Somebody has rolled the events table back, and nobody has accepted it yet. */
  rolledBack = false;

  // What producers and the source do.

  click(
    partition: number,
    clicks: readonly (StreamEntry & { kind: 'click' })[],
    stream: string,
  ): void {
    const timestampMs = this.time.nowMs();
    const values = clicks.map(encodeEntry);
    this.log.append(
      'clicks',
      partition,
      values.map((value) => ({ key: null, value, timestampMs })),
    );
    this.truth.stream(stream, partition).push(...clicks);
  }

  reject(partition: number, values: readonly (Uint8Array | null)[], stream: string): void {
    const timestampMs = this.time.nowMs();
    this.log.append(
      'clicks',
      partition,
      values.map((value) => ({ key: null, value, timestampMs })),
    );
    this.truth.stream(stream, partition).push(...values.map(() => ({ kind: 'reject' as const })));
  }

  invisible(partition: number, count: number, stream: string): void {
    this.log.appendInvisible('clicks', partition, count);
    const entries = Array.from({ length: count }, () => ({ kind: 'invisible' as const }));
    this.truth.stream(stream, partition).push(...entries);
  }

  /** A change of a source row; without a row its deletion, with the tombstone behind it. */
  change(
    dimension: DimensionName,
    rowKey: string | number,
    row: SourceValue | undefined,
    initialSnapshot = false,
  ): void {
    const lsn = this.#lsn++;
    this.truth.rows(dimension).set(rowKey, { lsn, row });
    const key = `${dimension}/${rowKey}`;
    this.#history.set(key, [...(this.#history.get(key) ?? []), { lsn, row }]);
    this.#write(dimension, { rowKey, row, lsn, initialSnapshot });
    if (!initialSnapshot) this.complete();
  }

  /** The newest changes of a row once more, in their order, as a connector that starts again writes them. */
  async repeat(
    dimension: DimensionName,
    rowKey: string | number,
    { count, pauseMs }: { count: number; pauseMs: number },
  ): Promise<void> {
    const history = this.#history.get(`${dimension}/${rowKey}`) ?? [];
    if (history.length > 0) this.complete();
    for (const { lsn, row } of history.slice(-count)) {
      this.#write(dimension, { rowKey, row, lsn, initialSnapshot: false });
      if (pauseMs > 0) await this.run(pauseMs);
    }
  }

  #write(
    dimension: DimensionName,
    change: {
      rowKey: string | number;
      row: SourceValue | undefined;
      lsn: number;
      initialSnapshot: boolean;
    },
  ): void {
    const { rowKey, row, lsn, initialSnapshot } = change;
    const partition = String(rowKey).length % this.size.dimensionPartitions;
    const columns =
      row === undefined
        ? undefined
        : { [COLUMN[dimension]]: row.value, ...(row.url === undefined ? {} : { url: row.url }) };
    const encoded = encodeChange({ dimension, rowKey, row: columns, lsn, initialSnapshot });
    this.log.append(topicOf[dimension], partition, [encoded]);
    const entries = this.truth.change(dimension, partition);
    entries.push({ kind: 'row', rowKey, lsn, row });
    if (row !== undefined) return;
    this.log.append(topicOf[dimension], partition, [{ key: encoded.key, value: null }]);
    entries.push({ kind: 'tombstone', rowKey });
  }

  /** A record of a change topic that is no change. */
  rejectChange(dimension: DimensionName, partition: number): void {
    this.log.append(topicOf[dimension], partition, [
      // Of a key of its own: what compaction has taken away before it was read is nobody's to keep.
      { key: Buffer.from(`{"x":${this.#lsn++}}`), value: Buffer.from('no change') },
    ]);
    this.truth.change(dimension, partition).push({ kind: 'reject' });
  }

  invisibleChange(dimension: DimensionName, partition: number, count: number): void {
    this.log.appendInvisible(topicOf[dimension], partition, count);
    const entries = Array.from({ length: count }, () => ({ kind: 'invisible' as const }));
    this.truth.change(dimension, partition).push(...entries);
  }

  /** An operator makes the table before the pipeline does, with its columns in another order, or without one. */
  async createTableByHand(without?: string): Promise<void> {
    const all = eventFields({ config: this.config, ...contracts }).toReversed();
    const fields = all.filter(({ name }) => name !== without);
    const eventTime = fields.find(({ name }) => name === 'event_time')?.id ?? 0;
    await this.catalog.ensureNamespace(EVENTS.namespace);
    await this.catalog.createTable({
      identifier: EVENTS,
      schema: { schemaId: 0, fields },
      partitionSpec: {
        specId: 0,
        fields: [{ sourceId: eventTime, fieldId: 1000, name: 'day', transform: 'day' }],
      },
      sortOrder: { orderId: 0, fields: [] },
      properties: { 'format-version': '2' },
    });
  }

  /** Keeps the newest record of each key. */
  compact(dimension: DimensionName, partition: number): void {
    this.log.compact(topicOf[dimension], partition);
  }

  /** The first load is over: what the topics hold now must be read before the first join. */
  complete(): void {
    this.loadedEnds ??= this.changeEnds();
  }

  notify(type: 'STARTED' | 'COMPLETED' | 'SKIPPED'): void {
    this.log.append(NOTIFICATIONS, 0, [{ key: null, value: encodeNotification(type) }]);
    if (type !== 'STARTED') this.complete();
  }

  changeEnds(): Map<DimensionName, number[]> {
    return new Map(
      this.size.dimensions.map((name) => [
        name,
        (this.truth.changes.get(name) ?? []).map((entries) => entries.length),
      ]),
    );
  }
}

function configOf({ dimensions, workers, rowsMax, intervalMs }: WorldSize): PipelineConfig {
  return {
    ...baseConfig,
    dimensions: baseConfig.dimensions
      .filter(({ name }) => dimensions.includes(name as DimensionName))
      .map((dimension) => ({ ...dimension, columns: [COLUMN[dimension.name as DimensionName]] })),
    workers,
    commit: { intervalMs, rowsMax, bytesMax: 1024 ** 2 },
  };
}
