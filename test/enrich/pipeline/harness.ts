import { readFileSync } from 'node:fs';
import { commitAppend } from '@iceberg-js/rest-client-shim/commit/commit-append.ts';
import { scanDataFiles } from '@iceberg-js/rest-client-shim/commit/scan.ts';
import type { PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { createMemoryCatalog } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import type { CommitFault } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import { createMemoryStore } from '@iceberg-js/rest-client-shim/memory/memory-store.ts';
import { createParquetWriter } from '@iceberg-js/rest-client-shim/parquet/parquet-writer.ts';
import type { CommitTableRequest } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import { readDataFile } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { parsePipelineFile } from '../../../enrich/config/load-pipeline.ts';
import type { ContractSet } from '../../../enrich/config/check-contracts.ts';
import type { EvolutionConfig, PipelineConfig } from '../../../enrich/config/pipeline-config.ts';
import { createJsonLogger } from '../../../enrich/log.ts';
import { createMetrics } from '../../../enrich/metrics.ts';
import type { Metrics } from '../../../enrich/metrics.ts';
import { PipelineStatus } from '../../../enrich/pipeline/pipeline-status.ts';
import { runOnState } from '../../../enrich/pipeline/run-on-state.ts';
import { MemoryLog } from '../../../enrich/source/memory-log.ts';
import type { GroupMember } from '../../../enrich/source/log.ts';
import { openDimensionState } from '../../../enrich/state/dimension-state.ts';
import type { DimensionState } from '../../../enrich/state/dimension-state.ts';
import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import { EnrichError } from '../../../enrich/error.ts';
import type { ClickWorker } from '../../../enrich/worker/click-worker.ts';
import { openClickWorker } from '../../../enrich/worker/open-click-worker.ts';
import { openMemoryStore } from '../../../enrich/state/memory-store.ts';
import { contractFields, isScalarField } from '../../../schemas/contract-field.ts';
import { loadContract } from '../../../schemas/load-contracts.ts';
import { createMemoryRegistry } from '../../../schemas/memory-registry.ts';
import { faultyCatalog, faultyLog, faultyRegistry, faultyStore } from './faulty-ports.ts';
import type { Faults } from './faulty-ports.ts';
import { Life } from './process.ts';
import { clickSchema, encodeChange, encodeClick, encodeNotification, topicOf } from './records.ts';
import type { Click, DimensionName, SourceRow } from './records.ts';
import { virtualClock, VirtualTime } from './virtual-time.ts';

export const START_MS = 1_800_000_000_000;
export const INTERVAL_MS = 1_000;
export const ROWS_MAX = 50;
export const PARTITIONS = 3;
const DIMENSION_PARTITIONS = 2;
export const NOTIFICATIONS = '__debezium-notifications.app';
const EVENTS = { namespace: ['lake'], name: 'clicks' };
const GROUP = 'tributary-clicks';
/** After every test that injects faults: longer than any back-off, settling interval and unknown outcome. */
export const QUIET_MS = 60_000;

export type TableRow = Readonly<Record<string, PartitionValue>> & { snapshotId: bigint };

/** `partition/offset` of a row of either table. */
export function placeOf(row: TableRow): string {
  return `${String(row['_kafka_partition'])}/${String(row['_kafka_offset'])}`;
}

/** What stands at one offset of the stream. */
export type StreamRecord = { partition: number; offset: bigint; click: Click | 'reject' };

/** What stands at one offset of a change topic. */
export type ChangeRecord = {
  dimension: DimensionName;
  partition: number;
  offset: bigint;
  rowKey: string | number;
  row: SourceRow;
};

/** The contracts as shipped. */
export const shippedContracts: ContractSet = {
  stream: await loadContract('schemas', 'click'),
  dimensions: new Map([
    ['users', await loadContract('schemas', 'user')],
    ['devices', await loadContract('schemas', 'device')],
    ['urls', await loadContract('schemas', 'url')],
  ]),
};

/** Fewer than a commit may have: files of several row groups come about. */
const ROW_GROUP_ROWS_MAX = 20;
const writer = createParquetWriter({ rowGroupRowsMax: ROW_GROUP_ROWS_MAX, zstdLevel: 1 });

/** pipeline.yaml as shipped, with short intervals. */
export function pipelineConfig(): PipelineConfig {
  const parsed = parsePipelineFile(readFileSync('pipeline.yaml', 'utf8'), {}, () => '');
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  return {
    ...parsed.config,
    commit: { intervalMs: INTERVAL_MS, rowsMax: ROWS_MAX, bytesMax: 1024 ** 2 },
  };
}

/** The stream as configured, with another policy. */
export function evolving(evolution: EvolutionConfig): Pick<StartOptions, 'config'> {
  return { config: { stream: { ...pipelineConfig().stream, evolution } } };
}

export type StartOptions = {
  /** Client id of the process. */
  name?: string;
  /** Processes that name the same state find what the one before them has left. */
  state?: string;
  config?: Partial<PipelineConfig>;
  contracts?: ContractSet;
  acceptGap?: boolean;
  acceptRollback?: boolean;
  wrapWorker?: (worker: ClickWorker) => ClickWorker;
};

/** One run of the pipeline in a world. */
export type Process = {
  name: string;
  life: Life;
  metrics: Metrics;
  status: PipelineStatus;
  /** Parsed lines of its log. */
  lines: Record<string, unknown>[];
  polls: Map<string, number>;
  /** How it ended: undefined while it runs. */
  ended: () => 'stopped' | { error: unknown } | undefined;
  /** As SIGTERM does. */
  stop: () => void;
  /** As kill -9 does; the group notices at once. */
  kill: () => void;
};

/** Everything around a pipeline, on in-memory twins and virtual time. */
export class World {
  readonly time = new VirtualTime(START_MS);
  readonly faults: Faults = { away: new Set(), commitDelayMs: 0, commit: () => 'apply' };
  readonly registry = createMemoryRegistry();
  readonly store = createMemoryStore({ nowMs: this.time.nowMs });
  readonly log = new MemoryLog({ clusterId: 'cluster-1', pause: this.time.pause });
  readonly catalog: ReturnType<typeof createMemoryCatalog>;
  readonly stream: StreamRecord[] = [];
  readonly changes: ChangeRecord[] = [];
  readonly processes: Process[] = [];
  /** Why states were given up, one kind of error for each. */
  readonly retired: string[] = [];
  /** Runs before the state takes changes of a dimension. */
  beforeApply: (dimension: string) => Promise<void> = () => Promise.resolve();
  /** Told of each state that is opened. */
  onOpened: (state: DimensionState) => void = () => undefined;
  /** Runs before a state is opened. */
  beforeOpen: () => Promise<void> = () => Promise.resolve();
  #clickSchemaId = 0;
  #nextFault: CommitFault = 'apply';
  #clockErrorMs = 0;
  /** The most that the clocks of the processes were ever behind. */
  clockBehindMsMax = 0;
  readonly #clock = virtualClock(this.time);
  readonly #states = new Map<string, KeyValueStore>();
  #lsn = 1_000;

  private constructor() {
    let tables = 0;
    this.catalog = createMemoryCatalog({
      clock: this.time,
      uuid: () => `00000000-0000-4000-a000-${String(tables++).padStart(12, '0')}`,
      onCommit: () => {
        const fault = this.#nextFault;
        this.#nextFault = 'apply';
        return fault;
      },
    });
  }

  /** A world with empty topics; `complete` also says that the initial snapshot is. */
  static async open(options: { complete: boolean } = { complete: true }): Promise<World> {
    const world = new World();
    world.log.createTopic('clicks', PARTITIONS);
    for (const topic of Object.values(topicOf)) world.log.createTopic(topic, DIMENSION_PARTITIONS);
    world.log.createTopic(NOTIFICATIONS, 1);
    const { schemaId } = await world.registry.register('clicks-value', clickSchema);
    world.#clickSchemaId = schemaId;
    if (options.complete) world.notify('COMPLETED');
    return world;
  }

  /** A world in which a process is ready to join. */
  static async started(options: StartOptions = {}): Promise<{ world: World; process: Process }> {
    const world = await World.open();
    const process = await world.start(options);
    await world.run(1_000);
    return { world, process };
  }

  /** How far the clocks of the processes are ahead of the time; may be changed while they run. */
  setClockError(ms: number): void {
    this.#clockErrorMs = ms;
    this.clockBehindMsMax = Math.max(this.clockBehindMsMax, -ms);
  }

  run(ms: number): Promise<void> {
    return this.time.run(ms);
  }

  notify(type: 'STARTED' | 'COMPLETED' | 'SKIPPED'): void {
    this.log.append(NOTIFICATIONS, 0, [{ key: null, value: encodeNotification(type) }]);
  }

  /** Clicks as one record batch. */
  click(partition: number, clicks: readonly Partial<Click>[]): void {
    const full = clicks.map((click) => ({
      userId: 1,
      url: 'https://a/',
      deviceId: 'd1',
      ...click,
    }));
    const values = full.map((click) => encodeClick(this.#clickSchemaId, click));
    const base = this.#append(partition, values);
    for (const [i, click] of full.entries()) {
      this.stream.push({ partition, offset: base + BigInt(i), click });
    }
  }

  /** Records that cannot become rows. */
  reject(partition: number, values: readonly (Uint8Array | null)[]): void {
    const base = this.#append(partition, values);
    for (const i of values.keys()) {
      this.stream.push({ partition, offset: base + BigInt(i), click: 'reject' });
    }
  }

  #append(partition: number, values: readonly (Uint8Array | null)[]): bigint {
    const timestampMs = this.time.nowMs();
    return this.log.append(
      'clicks',
      partition,
      values.map((value) => ({ key: null, value, timestampMs })),
    );
  }

  /** A change of a source row; without a row, its deletion. */
  change(
    dimension: DimensionName,
    rowKey: string | number,
    row?: SourceRow,
    initialSnapshot = false,
  ): void {
    const partition = String(rowKey).length % DIMENSION_PARTITIONS;
    const encoded = encodeChange({ dimension, rowKey, row, lsn: this.#lsn++, initialSnapshot });
    const offset = this.log.append(topicOf[dimension], partition, [encoded]);
    this.changes.push({ dimension, partition, offset, rowKey, row });
  }

  async start(options: StartOptions = {}): Promise<Process> {
    const { name = `p${this.processes.length + 1}`, state = 'state' } = options;
    const { wrapWorker = (worker) => worker, contracts = shippedContracts } = options;
    const base = pipelineConfig();
    const config = { ...base, ...options.config, kafka: { ...base.kafka, clientId: name } };
    const life = new Life();
    const surroundings = { life, faults: this.faults, time: this.time, processName: name };
    const lines: Record<string, unknown>[] = [];
    const polls = new Map<string, number>();
    const members: GroupMember[] = [];
    const clock = {
      ...this.#clock,
      nowMs: () => this.#clock.nowMs() + this.#clockErrorMs,
      sleep: life.guard(this.#clock).sleep,
    };
    const metrics = createMetrics();
    const status = new PipelineStatus(clock);
    const stopping = new AbortController();
    const processLog = faultyLog(this.log, surroundings, { polls, joined: (m) => members.push(m) });
    const store = faultyStore(this.store, surroundings);
    let ended: 'stopped' | { error: unknown } | undefined;
    const running = runOnState(
      {
        config,
        contracts,
        ports: {
          log: processLog,
          registry: faultyRegistry(this.registry, surroundings),
          catalog: faultyCatalog(this.catalog, surroundings, (fault) => {
            this.#nextFault = fault;
          }),
          openStore: () => store,
          writer,
          openWorker: async (spec) =>
            wrapWorker(await openClickWorker(spec, { log: processLog, store, writer, clock })),
          clock,
          logger: createJsonLogger(
            (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
            clock.nowMs,
          ),
          metrics,
        },
        openState: async () => {
          await this.beforeOpen();
          const opened = await this.#openState({ config, contracts }, state, life);
          this.onOpened(opened);
          const apply = opened.apply.bind(opened);
          opened.apply = async (dimension, ...batch) => {
            await this.beforeApply(dimension);
            return apply(dimension, ...batch);
          };
          return { state: opened, close: async () => undefined, rebuilt: undefined };
        },
        retireState: async ({ kind }) => {
          this.retired.push(kind);
          this.#states.delete(state);
          return kind === 'rebuild' ? 'aside' : undefined;
        },
        status,
        acceptGap: options.acceptGap ?? false,
        acceptRollback: options.acceptRollback ?? false,
      },
      stopping.signal,
    );
    running.then(
      () => (ended = 'stopped'),
      (error: unknown) => (ended = { error }),
    );
    const kill = (): void => {
      life.kill();
      for (const member of members) void member.leave();
    };
    const stop = (): void => stopping.abort();
    const process = { name, life, metrics, status, lines, polls, ended: () => ended, stop, kill };
    this.processes.push(process);
    return process;
  }

  async #openState(
    { config, contracts }: { config: PipelineConfig; contracts: ContractSet },
    name: string,
    life: Life,
  ) {
    const store = this.#states.get(name) ?? openMemoryStore();
    this.#states.set(name, store);
    const { faults } = this;
    const guarded = life.guard(store);
    let failed: 'reopen' | 'rebuild' | undefined;
    return openDimensionState({
      store: {
        applyBatch: (writes) =>
          life.ask(async () => {
            if (faults.away.has('state')) throw new EnrichError('unavailable', 'the disk is full');
            failed ??= faults.stateWrites;
            faults.stateWrites = undefined;
            if (failed !== undefined) throw new EnrichError(failed, 'the write failed');
            return store.applyBatch(writes);
          }),
        getMany: (keys) => guarded.getMany(keys),
        scan: (range) => guarded.scan(range),
        flush: () => guarded.flush(),
        close: () => guarded.close(),
      },
      dimensions: config.dimensions.map((dimension) => {
        const contract = contracts.dimensions.get(dimension.name) ?? contracts.stream;
        const fields = contractFields(contract).filter(isScalarField);
        const typeOf = (column: string) =>
          fields.find((field) => field.name === column)?.tableType ?? 'string';
        const { primaryKey, joinKey, normaliser, columns } = dimension;
        return {
          name: dimension.name,
          primaryKey,
          joinKey,
          joinKeyType: typeOf(joinKey),
          normaliser,
          columns: columns.map((column) => ({ name: column, type: typeOf(column) })),
        };
      }),
    });
  }

  /** Gives partitions to processes by name, by hand from now on. */
  rebalance(assignment: Readonly<Record<string, readonly number[]>>): void {
    this.log.rebalance(GROUP, assignment);
  }

  async metadata(name = 'clicks'): Promise<TableMetadata> {
    const metadata = await this.metadataIfAny(name);
    if (metadata === undefined) throw new Error(`table ${name} does not exist`);
    return metadata;
  }

  async metadataIfAny(name = 'clicks'): Promise<TableMetadata | undefined> {
    return (await this.catalog.loadTable({ namespace: ['lake'], name }))?.metadata;
  }

  /** A commit by someone else, as maintenance makes it. */
  async commitByOthers(): Promise<void> {
    const { tableUuid } = await this.metadata();
    await commitAppend({
      catalog: this.catalog,
      store: this.store,
      identifier: EVENTS,
      tableUuid,
      commitId: `other-${this.#lsn++}`,
      dataFiles: [],
      decide: () => ({ kind: 'append', summary: {}, properties: {} }),
      clock: {
        nowMs: this.time.nowMs,
        elapsedMs: this.time.nowMs,
        sleep: this.time.sleep,
        random: () => 0.3,
      },
      limits: { attemptsMax: 3, unknownWaitMsMax: 1_000, backoffMsMax: 10 },
    });
  }

  async expireAllButHead(): Promise<void> {
    const { snapshots, currentSnapshotId } = await this.metadata();
    const ids = snapshots.map(({ snapshotId }) => snapshotId);
    const snapshotIds = ids.filter((id) => id !== currentSnapshotId);
    await this.#update({ action: 'remove-snapshots', snapshotIds });
  }

  async rollBack(snapshotId: bigint): Promise<void> {
    const ref = { type: 'branch', snapshotId } as const;
    await this.#update({ action: 'set-snapshot-ref', refName: 'main', ref });
  }

  async #update(update: CommitTableRequest['updates'][number]): Promise<void> {
    const request = { identifier: EVENTS, requirements: [], updates: [update] };
    await this.catalog.prepareCommit(request).send();
  }

  /** The rows of a table as a reader finds them without nested columns, each with the snapshot that added it. */
  async rows(name = 'clicks'): Promise<TableRow[]> {
    const metadata = await this.metadata(name);
    const tableSchema = metadata.schemas.find((s) => s.schemaId === metadata.currentSchemaId);
    if (tableSchema === undefined) throw new Error('the table has no schema');
    const flat = tableSchema.fields.filter(({ type }) => typeof type === 'string');
    const columnNames = flat.map((field) => field.name);
    const rows: TableRow[] = [];
    for await (const { dataFile, snapshotId } of scanDataFiles({ store: this.store, metadata })) {
      const file = await readDataFile({ store: this.store, dataFile, tableSchema, columnNames });
      for (let i = 0; i < file.rowCount; i += 1) {
        const values = columnNames.map((column) => [column, file.columns.get(column)?.[i] ?? null]);
        rows.push({
          ...(Object.fromEntries(values) as Record<string, PartitionValue>),
          snapshotId,
        });
      }
    }
    return rows;
  }

  deadLetters(): Promise<TableRow[]> {
    return this.rows('clicks_dead_letter');
  }
}
