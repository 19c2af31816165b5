import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { createChangeDecoder, keepBySchema } from '../../connectors/decode-change.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import type { Registry } from '../../schemas/registry.ts';
import type { Clock } from '../clock.ts';
import { committedInLog } from '../core/acceptance.ts';
import type { ContractSet } from '../config/check-contracts.ts';
import { withContractNames } from '../config/contract-names.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { EnrichError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Log, TopicDescription } from '../source/log.ts';
import type { DimensionState } from '../state/dimension-state.ts';
import { isStateFault } from '../state/open-state.ts';
import type { ClickWorker, WorkerSpec } from '../worker/click-worker.ts';
import { ChangeRejects } from './change-rejects.ts';
import { ClickCrew } from './click-crew.ts';
import { ClickLoop } from './click-loop.ts';
import { DimensionFeed } from './dimension-feed.ts';
import type { LakeContext } from './append-to-table.ts';
import type { FlushContext } from './flush.ts';
import { deadLetterOwner, findLostCommits } from './forgotten-commits.ts';
import type { ForgottenCommits } from './forgotten-commits.ts';
import { PipelineStatus } from './pipeline-status.ts';
import { waitUntilReady } from './readiness.ts';
import { isCutShort, retryUntilAvailable } from './retry.ts';
import { openKeptSchemas } from './kept-schemas.ts';
import { SchemaLoads } from './schema-loads.ts';
import { SourceSchemas } from './source-schemas.ts';
import { StreamEvolution } from './stream-evolution.ts';
import { openTables } from './tables.ts';
import { workerSpecs } from './worker-specs.ts';
import { SnapshotCompletion } from './snapshot-completion.ts';
import type { PipelineTables } from './tables.ts';

const DRAIN_WAIT_MS_MAX = 30_000;
const MEMBER_NAME = 'member-name';

/** Everything that a pipeline runs on; each is a port with an in-memory twin. */
export type PipelinePorts = {
  log: Log;
  registry: Registry;
  catalog: Catalog;
  openStore: (location: string) => ObjectStore;
  state: DimensionState;
  writer: DataFileWriter;
  /** Opens a click worker; whoever opens one closes it. Errors: as `openClickWorker`. */
  openWorker: (spec: WorkerSpec) => Promise<ClickWorker>;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
};

export type PipelineOptions = {
  config: PipelineConfig;
  contracts: ContractSet;
  ports: PipelinePorts;
  status: PipelineStatus;
  /** Read on where the log has lost records that were never read. */
  acceptGap: boolean;
  /** Read on from the current snapshot after somebody has rolled the table back. */
  acceptRollback: boolean;
};

/**
 * Runs a pipeline until the signal: takes changes into the state, waits until every dimension is ready,
 * then takes clicks, joins, writes and commits them. On the signal it commits what it holds.
 *
 * Errors: `config`, `fenced` and `corrupt` need the user; `reopen`, `rebuild` and `renew` need the state opened again
 * or built anew. Infrastructure that is away is waited for and never an error here.
 */
export async function runPipeline(options: PipelineOptions, signal: AbortSignal): Promise<void> {
  const { ports, status } = options;
  try {
    await runLoops(options, signal);
  } catch (error) {
    // A stop ends the wait for what is away: that is no failure.
    if (!isCutShort(error, signal)) {
      // The caller opens the state again: no failure either.
      if (!isStateFault(error)) status.fail(error instanceof Error ? error.message : String(error));
      throw error;
    }
  } finally {
    ports.metrics.ready.set(0);
  }
  ports.logger.info('pipeline stopped');
}

async function runLoops(options: PipelineOptions, signal: AbortSignal): Promise<void> {
  const { config, ports, status } = options;
  const { clock, logger } = ports;
  const stop = new AbortController();
  const stopping = AbortSignal.any([signal, stop.signal]);
  const opened = await retryUntilAvailable({
    what: 'opening topics and tables',
    attempt: () => openPipeline(options, stopping),
    clock,
    logger,
    signal: stopping,
    status,
  });
  logger.info('pipeline starts', {
    pipeline: config.pipeline,
    table: opened.tables.events.identifier.name,
  });
  const ready = Promise.withResolvers<void>();
  const loops = [
    opened.feed.run(stopping),
    joinClicks(options, { ...opened, onReady: ready.resolve }, stopping),
    lookAfterState(options, { feed: opened.feed, ready: ready.promise }, stopping),
    opened.rejects.run(
      { ...opened.lake, pipeline: config.pipeline, ...opened, table: opened.tables.deadLetter },
      stopping,
    ),
  ];
  try {
    await Promise.race(loops);
  } finally {
    stop.abort();
    await Promise.allSettled(loops);
  }
  await Promise.all(loops);
  status.stopping();
  await ports.state.saveProjections('stop');
}

/**
 * Has it stored, once the dimensions are loaded, that they were, and the projections saved, so that the next start need
 * not read all rows; and the rows checked that this one has not read. Runs until the signal.
 */
async function lookAfterState(
  { ports: { state, clock, logger }, status }: PipelineOptions,
  { feed, ready }: { feed: DimensionFeed; ready: Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const save = async (): Promise<void> => {
    await Promise.race([ready, aborted]);
    if (signal.aborted) return;
    // Beside the joins: they need not wait for what only a later start asks for.
    await retryUntilAvailable({
      what: 'storing that the dimensions were read',
      attempt: () => feed.rememberRead(),
      clock,
      logger,
      signal,
      status,
    });
    await state.saveProjections('ready');
  };
  await Promise.all([save(), state.checkContent({ clock, logger, signal })]);
  await aborted;
}

type OpenedPipeline = {
  stream: TopicDescription;
  /** Dimension topics by dimension. */
  topics: ReadonlyMap<string, TopicDescription>;
  tables: PipelineTables;
  lake: LakeContext;
  schemas: SchemaLoads;
  completion: SnapshotCompletion;
  rejects: ChangeRejects;
  evolution: StreamEvolution;
  feed: DimensionFeed;
};

async function openPipeline(
  options: PipelineOptions,
  signal: AbortSignal,
): Promise<OpenedPipeline> {
  const { config, contracts, ports } = options;
  const { log, state, catalog, writer, clock, logger, metrics } = ports;
  const stream = await requireTopic(log, config.stream.topic, 'stream.topic');
  const topics = new Map<string, TopicDescription>();
  for (const { name, topic } of config.dimensions) {
    topics.set(name, await requireTopic(log, topic, `dimension ${name}`));
  }
  const tables = await openTables({ catalog, config, ...contracts });
  const store = ports.openStore(tables.events.metadata.location);
  const forgotten = acceptedRollbacks(options, { stream, topics, tables });
  // A table that nothing may be written to is told of before the pipeline says that it is ready.
  const { pipeline } = config;
  const forgottenCommitId = forgotten.get(pipeline);
  committedInLog(tables.events.metadata, { pipeline, identity: stream, forgottenCommitId });
  const lake = {
    catalog,
    store,
    writer,
    clock,
    logger,
    metrics,
    status: options.status,
    forgotten,
  };
  const schemas = await openSchemas(options, stream, signal);
  const completion = new SnapshotCompletion(state, topics);
  const { status } = options;
  const evolution = new StreamEvolution({ ...options, ...ports, table: tables.events, status });
  const rejects = new ChangeRejects(state, [...topics.keys()]);
  const feed = await openFeed(options, { topics, rejects, schemas, completion });
  return { stream, topics, tables, lake, schemas, completion, rejects, evolution, feed };
}

/** The registry's schemas, known ids also while it is away and after a restart. */
async function openSchemas(
  { config, ports, status }: PipelineOptions,
  { clusterId }: TopicDescription,
  signal: AbortSignal,
): Promise<SchemaLoads> {
  const { registry, state, clock, logger, metrics } = ports;
  const { url } = config.registry;
  const kept = await openKeptSchemas({ state, registryUrl: url, clusterId, logger });
  const cache = createSchemaCache({
    registry,
    elapsedMs: clock.elapsedMs,
    kept,
    sleep: (ms) => clock.sleep(ms, signal),
  });
  return new SchemaLoads(cache, { clock, logger, metrics, status, signal });
}

/** Waits until the dimensions are ready, then takes clicks. */
async function joinClicks(
  options: PipelineOptions,
  opened: OpenedPipeline & { onReady: () => void },
  signal: AbortSignal,
): Promise<void> {
  const { config, ports, status } = options;
  const { log, clock, logger, metrics } = ports;
  const { feed, completion, schemas } = opened;
  const { notificationTopic } = config.readiness;
  await waitUntilReady({
    log,
    notificationTopic,
    feed,
    completion,
    schemas,
    clock,
    logger,
    status,
    signal,
  });
  if (signal.aborted) return;
  metrics.ready.set(1);
  status.ready();
  opened.onReady();
  logger.info('ready: joining clicks', { dimensions: config.dimensions.map(({ name }) => name) });
  await takeClicks(options, opened, signal);
}

async function requireTopic(log: Log, topic: string, where: string): Promise<TopicDescription> {
  const description = await log.describeTopic(topic);
  if (description !== undefined) return description;
  throw new EnrichError(
    'config',
    `topic ${topic} (${where}) does not exist; create it with "tributary connectors apply", or name ` +
      'another one in pipeline.yaml',
  );
}

async function openFeed(
  { config, contracts, ports, status }: PipelineOptions,
  opened: {
    topics: ReadonlyMap<string, TopicDescription>;
    rejects: ChangeRejects;
    schemas: SchemaLoads;
    completion: SnapshotCompletion;
  },
): Promise<DimensionFeed> {
  const { rejects, schemas, completion } = opened;
  const { log, state, clock, logger, metrics } = ports;
  const topics = config.dimensions.flatMap((dimension) => {
    const { name, primaryKey, joinKey, columns } = dimension;
    const description = opened.topics.get(name);
    const contract = contracts.dimensions.get(name);
    if (description === undefined || contract === undefined) return [];
    const { topicId } = description;
    const renamed = keepBySchema((avroSchema) => withContractNames(contract, avroSchema));
    const resolve = (id: number): object | undefined => {
      const avroSchema = schemas.resolve(id);
      return avroSchema === undefined ? undefined : renamed(avroSchema);
    };
    const wanted = [...new Set([primaryKey, joinKey, ...columns])];
    const decoder = createChangeDecoder({ resolve, columns: wanted });
    const options = { dimension, contract, topicId, resolve, state, logger, metrics };
    return [{ name, description, decoder, sourceSchemas: new SourceSchemas(options) }];
  });
  return DimensionFeed.open({
    log,
    topics,
    state,
    schemas,
    rejects,
    onStreamingChange: () => completion.takeStreamed(),
    clock,
    logger,
    metrics,
    status,
  });
}

async function takeClicks(
  options: PipelineOptions,
  opened: OpenedPipeline,
  signal: AbortSignal,
): Promise<void> {
  const { config, ports, acceptGap, status } = options;
  const { log, clock, logger } = ports;
  const { stream } = opened;
  const crew = await openCrew(options, opened, signal);
  try {
    const { groupId, clientId } = config.kafka;
    const member = await retryUntilAvailable({
      what: 'joining the consumer group',
      attempt: async () => {
        const instanceId = await memberName(ports);
        return log.joinGroup({ groupId, topic: stream.topic, clientId, instanceId });
      },
      clock,
      logger,
      signal,
      status,
    });
    const loop = new ClickLoop({
      log,
      member,
      crew,
      context: flushContext(options, opened),
      intervalMs: config.commit.intervalMs,
      acceptGap,
      onTurn: () => {
        for (const name of ['click loop', ...crew.answered]) status.turned(name);
      },
    });
    try {
      await loop.run(signal, DRAIN_WAIT_MS_MAX);
    } finally {
      await Promise.allSettled([member.leave()]);
    }
  } finally {
    await crew.close();
  }
}

/** Opens the workers; where one fails for good, closes the others. */
async function openCrew(
  { config, ports, contracts, status }: PipelineOptions,
  { stream, tables, schemas, evolution }: OpenedPipeline,
  signal: AbortSignal,
): Promise<ClickCrew> {
  const { clock, logger, metrics, openWorker } = ports;
  const { partitionCount, topic } = stream;
  if (config.workers > partitionCount) {
    logger.warn('workers without a partition stand idle: lower workers in pipeline.yaml', {
      workers: config.workers,
      idle: config.workers - partitionCount,
      topic,
      partitions: partitionCount,
    });
  }
  const specs = workerSpecs({ config, contract: contracts.stream, stream, tables });
  const opening = specs.map((spec) =>
    retryUntilAvailable({
      what: `opening click worker ${spec.index + 1}`,
      attempt: () => openWorker(spec),
      clock,
      logger,
      signal,
      status,
    }),
  );
  const settled = await Promise.allSettled(opening);
  const workers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const crew = new ClickCrew(workers, { schemas, evolution, clock, logger, metrics });
  if (workers.length < specs.length) {
    await crew.close();
    await Promise.all(opening);
  }
  return crew;
}

/**
 * The name under which this state directory joins the group; one process at a time holds it. A process that
 * was killed thus gets its partitions back at once, not after the end of its session.
 */
async function memberName({ state, clock }: PipelinePorts): Promise<string> {
  const stored = state.getMeta(MEMBER_NAME);
  if (stored !== undefined) return new TextDecoder().decode(stored);
  const name = clock.newId();
  await state.putMeta(MEMBER_NAME, new TextEncoder().encode(name));
  return name;
}

function flushContext(
  { config, ports }: PipelineOptions,
  { stream, tables, lake, evolution }: OpenedPipeline,
): FlushContext {
  const { state } = ports;
  const { clusterId, topic, topicId } = stream;
  return {
    ...lake,
    pipeline: config.pipeline,
    identity: { clusterId, topic, topicId },
    tables,
    dimensionNames: config.dimensions.map(({ name }) => name),
    state,
    evolution,
    settled: new Set(),
  };
}

/** What roll-backs of either table have taken away, which the user has agreed to give up. */
function acceptedRollbacks(
  { config: { pipeline }, ports: { logger }, acceptRollback }: PipelineOptions,
  { stream, topics, tables }: Pick<OpenedPipeline, 'stream' | 'topics' | 'tables'>,
): ForgottenCommits {
  if (!acceptRollback) return new Map();
  const deadLetterOwners = [
    deadLetterOwner({ pipeline, topicId: stream.topicId }),
    ...[...topics].map(([dimension, { topicId }]) =>
      deadLetterOwner({ pipeline, dimension, topicId }),
    ),
  ];
  const lost = new Map([
    ...findLostCommits(tables.events.metadata, [pipeline]),
    ...findLostCommits(tables.deadLetter.metadata, deadLetterOwners),
  ]);
  for (const [owner, commitId] of lost) {
    logger.warn('a table was rolled back; going on as --accept-rollback allows', {
      owner,
      commitId,
    });
  }
  return lost;
}
