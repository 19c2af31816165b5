import type { Clock } from '../../enrich/clock.ts';
import type { Logger } from '../../enrich/log.ts';
import { createMetrics } from '../../enrich/metrics.ts';
import type { Metrics } from '../../enrich/metrics.ts';
import { PipelineStatus } from '../../enrich/pipeline/pipeline-status.ts';
import { errorKind } from '../../enrich/pipeline/retry.ts';
import { runPipeline } from '../../enrich/pipeline/run-pipeline.ts';
import type { GroupMember } from '../../enrich/source/log.ts';
import { openDimensionState } from '../../enrich/state/dimension-state.ts';
import type { DimensionDefinition } from '../../enrich/state/dimension-record.ts';
import type { ClickWorker } from '../../enrich/worker/click-worker.ts';
import { openClickWorker } from '../../enrich/worker/open-click-worker.ts';
import { contractFields, isScalarField } from '../../schemas/contract-field.ts';
import { topicOf } from '../enrich/pipeline/records.ts';
import type { DimensionName } from '../enrich/pipeline/records.ts';
import { Outside } from './outside.ts';
import {
  simulatedCatalog,
  simulatedFiles,
  simulatedLog,
  simulatedRegistry,
  simulatedState,
  simulatedStore,
} from './ports.ts';
import { SentCommits } from './sent-commits.ts';
import { Violation } from './violation.ts';
import { registry } from './click-schemas.ts';
import { contracts } from './world.ts';
import type { World } from './world.ts';

/** So few that projections are saved again and again. */
const JOURNAL_KEYS_MAX = 6;

export type ProcessOptions = {
  name: string;
  /** Processes that name the same state find what the one before them has left. */
  state: string;
  pipeline?: string;
  groupId?: string;
  acceptRollback?: boolean;
};

/** One run of the pipeline in a simulated world. */
export type Process = {
  name: string;
  state: string;
  groupId: string;
  outside: Outside;
  /** How it ended: undefined while it runs. */
  ended: () => { error: unknown } | undefined;
  stop: () => void;
  kill: () => void;
};

const dimensionByTopic = new Map<string, DimensionName>(
  Object.entries(topicOf).map(([name, topic]) => [topic, name as DimensionName]),
);

/** Gauges and counters that nobody reads, but the ones that tell how much is held. */
const metricNames = Object.keys(createMetrics());
const quiet = { inc: () => {}, set: () => {}, observe: () => {} };

/** Starts a pipeline. As in production, its state is opened first; a crash may come before it runs. */
export function startProcess(world: World, options: ProcessOptions): Process {
  const { name, state, groupId = 'tributary-clicks' } = options;
  const outside = new Outside({
    weather: world.weather,
    time: world.time,
    tell: (what) => world.tell(`${name} ${what}`),
    onCall: () => {
      world.activity += 1;
    },
  });
  const { model } = world.state(state);
  world.senders.set(name, { state: model, startEnds: world.changeEnds() });
  const members: GroupMember[] = [];
  const stopping = new AbortController();
  let ended: { error: unknown } | undefined;
  const end = (error: unknown): void => {
    if (!outside.life.alive) return;
    ended = { error };
    // A join whose answer was lost has made a member all the same; its session ends with the process.
    for (const member of members) void member.leave();
    world.tell(`${name} ended: ${error instanceof Error ? error.message : 'stopped'}`);
  };
  open(world, { ...options, groupId }, { outside, members, signal: stopping.signal }).then(
    () => end(undefined),
    end,
  );
  const kill = (): void => {
    outside.life.kill();
    for (const member of members) void member.leave();
  };
  // With a reason: an exception of its own is dear, and nobody reads it.
  const stop = (): void => stopping.abort('stopped');
  return { name, state, groupId, outside, ended: () => ended, stop, kill };
}

type Running = { outside: Outside; members: GroupMember[]; signal: AbortSignal };

/** As in production, a state that must be opened again is, in the same process. */
async function open(
  world: World,
  options: ProcessOptions & { groupId: string },
  run: Running,
): Promise<void> {
  for (;;) {
    try {
      await runOnState(world, options, run);
      return;
    } catch (error) {
      if (errorKind(error) !== 'reopen') throw error;
      world.tell(`${options.name} opens its state again`);
    }
  }
}

async function runOnState(
  world: World,
  options: ProcessOptions & { groupId: string },
  run: Running,
): Promise<void> {
  const { name } = options;
  const { outside, members, signal } = run;
  const { store: stored, files, model } = world.state(options.state);
  const config = {
    ...world.config,
    pipeline: options.pipeline ?? 'clicks',
    kafka: { ...world.config.kafka, clientId: name, groupId: options.groupId },
  };
  const sent = new SentCommits(world.time.nowMs, world.report);
  const clock = processClock(world, name, outside);
  const logger = watchedLogger(world, name);
  const state = await openDimensionState({
    store: simulatedState(stored, outside, (writes) => world.check(() => model.applied(writes))),
    dimensions: definitions(world),
    images: {
      files: simulatedFiles(files, outside),
      clock,
      logger,
      journalKeysMax: JOURNAL_KEYS_MAX,
    },
  });
  const log = simulatedLog(world.log.connect(), outside, {
    seek: (topic, partition, nextOffset) => {
      const dimension = dimensionByTopic.get(topic);
      if (dimension !== undefined) model.seek(dimension, partition, nextOffset);
    },
    deliver: (topic, partition, offset) => {
      const dimension = dimensionByTopic.get(topic);
      if (dimension !== undefined) model.deliver(dimension, partition, offset);
    },
    joined: (member) => {
      // A member keeps its name: who joins under it again takes the place of the one before.
      for (const before of members.splice(0)) void before.leave();
      members.push(member);
    },
  });
  const store = simulatedStore(world.store, outside, {
    put: (location, bytes) => {
      const rows = world.recorder.rowsOf(bytes);
      if (rows !== undefined) world.fileRows.set(location, rows);
    },
    deleted: (location) => {
      world.report(new Violation(10, `${name} deleted ${location}`));
    },
  });
  const { writer } = world.recorder;
  await runPipeline(
    {
      config,
      contracts,
      ports: {
        log,
        registry: simulatedRegistry(registry, outside),
        catalog: simulatedCatalog(world.catalog, outside, {
          sent,
          delay: (commit) => world.delayed.push(commit),
        }),
        openStore: () => store,
        state,
        writer,
        openWorker: async (spec) =>
          distantWorker(await openClickWorker(spec, { log, store, writer, clock }), world),
        clock,
        logger,
        metrics: watchedMetrics(world, name),
      },
      status: new WatchedStatus(world, name, clock),
      acceptGap: false,
      acceptRollback: options.acceptRollback ?? false,
    },
    signal,
  );
}

/** The most that a word between the threads of a process takes. */
const WORD_MS_MAX = 3;

/** A worker whose joins begin when word has come to it, as from another thread. */
function distantWorker(worker: ClickWorker, { time, random }: World): ClickWorker {
  const join = worker.join.bind(worker);
  worker.join = async (wish) => {
    await time.sleep(random.below(WORD_MS_MAX + 1));
    return join(wish);
  };
  return worker;
}

/** A loop that turns so often while no time passes turns for ever. */
const TURNS_AT_ONCE_MAX = 10_000;

/** Ends a loop that spins, which nothing else could (INVARIANTS.md 12). */
class WatchedStatus extends PipelineStatus {
  readonly #world: World;
  readonly #name: string;
  #atMs = 0;
  #turns = 0;

  constructor(world: World, name: string, clock: Clock) {
    super(clock);
    this.#world = world;
    this.#name = name;
  }

  override turned(loop: string): void {
    super.turned(loop);
    const nowMs = this.#world.time.nowMs();
    if (nowMs !== this.#atMs) this.#turns = 0;
    this.#atMs = nowMs;
    this.#turns += 1;
    if (this.#turns <= TURNS_AT_ONCE_MAX) return;
    const violation = new Violation(12, `the ${loop} of ${this.#name} turns and never waits`);
    this.#world.report(violation);
    throw violation;
  }
}

/** Ids begin with the name of the process: a commit tells who has sent it. */
function processClock(world: World, name: string, outside: Outside): Clock {
  let ids = 0;
  const { time, random } = world;
  return {
    nowMs: time.nowMs,
    elapsedMs: time.nowMs,
    sleep: (ms, signal) => {
      world.activity += 1;
      return outside.life.ask(() => time.sleep(ms, signal));
    },
    random: () => random.float(),
    newId: () => `${name}-${ids++}`,
  };
}

/** A batch that stands in the table must not be given up as lost (INVARIANTS.md 4). */
function watchedLogger(world: World, name: string): Logger {
  const tell = (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}) => {
    if (message.endsWith(': dropped')) checkDropped(world, message, String(fields['commitId']));
    if (world.trace === undefined) return;
    const error = fields['error'];
    const detail = error instanceof Error ? error.message : (fields['detail'] ?? '');
    world.tell(`${name} ${level}: ${message} ${describe(detail)}`);
  };
  return {
    info: (message, fields) => tell('info', message, fields),
    warn: (message, fields) => tell('warn', message, fields),
    error: (message, fields) => tell('error', message, fields),
  };
}

function describe(detail: unknown): string {
  return typeof detail === 'string' ? detail : '';
}

function checkDropped(world: World, message: string, commitId: string): void {
  const table = message.replace('commit to ', '').replace(': dropped', '');
  const snapshots = world.models.get(table)?.metadata.snapshots ?? [];
  const hasLanded = snapshots.some(({ summary }) => summary['tributary.commit-id'] === commitId);
  if (!hasLanded || world.rolledBack) return;
  world.report(new Violation(4, `commit ${commitId} was given up and stands in ${table}`));
}

/** INVARIANTS.md 12: what waits for the next flush stays below the bound of a batch and one poll. */
function watchedMetrics(world: World, name: string): Metrics {
  const rowsMax = 2 * world.size.rowsMax;
  const metrics: Record<string, unknown> = Object.fromEntries(
    metricNames.map((metric) => [metric, quiet]),
  );
  metrics['bufferedRows'] = {
    ...quiet,
    set: (rows: number) => {
      if (rows <= rowsMax) return;
      world.report(new Violation(12, `${name} holds ${rows} rows, ${rowsMax} at most`));
    },
  };
  return metrics as unknown as Metrics;
}

function definitions(world: World): DimensionDefinition[] {
  return world.config.dimensions.map((dimension) => {
    const { name, primaryKey, joinKey, normaliser, columns } = dimension;
    const contract = contracts.dimensions.get(name) ?? contracts.stream;
    const fields = contractFields(contract).filter(isScalarField);
    const typeOf = (column: string) =>
      fields.find((field) => field.name === column)?.tableType ?? 'string';
    return {
      name,
      primaryKey,
      joinKey,
      joinKeyType: typeOf(joinKey),
      normaliser,
      columns: columns.map((column) => ({ name: column, type: typeOf(column) })),
    };
  });
}
