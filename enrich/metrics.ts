import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Every metric of the pipeline, in one registry. Names follow Prometheus: base units, `_total` for
 * counters. Source: prometheus.io, "Metric and label naming".
 */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    ...flowMetrics(registers),
    ...joinMetrics(registers),
    ...commitMetrics(registers),
    ...memoryMetrics(registers),
  };
}

function flowMetrics(registers: Registry[]) {
  return {
    events: new Counter({
      name: 'tributary_events_total',
      help: 'Records taken from the stream topic, by outcome',
      labelNames: ['outcome'] as const,
      registers,
    }),
    lag: new Gauge({
      name: 'tributary_lag_records',
      help: 'Offsets between the committed position and the end of the log',
      labelNames: ['partition'] as const,
      registers,
    }),
    deadLettersWaiting: new Gauge({
      name: 'tributary_dead_letters_waiting',
      help: 'Records of change topics that wait in the state for the dead-letter table',
      registers,
    }),
    schemasAwaited: new Gauge({
      name: 'tributary_schemas_awaited',
      help: 'Schema ids that records wait for because the registry has not answered yet',
      registers,
    }),
    partitionsPaused: new Gauge({
      name: 'tributary_partitions_paused',
      help: 'Partitions of a dimension that wait because of a schema that its policy for changes does not take',
      labelNames: ['topic'] as const,
      registers,
    }),
    schemasPaused: new Gauge({
      name: 'tributary_schemas_paused',
      help: 'Schema ids of the stream whose records wait for a contract or a policy that takes them',
      registers,
    }),
    schemaChanges: new Counter({
      name: 'tributary_schema_changes_total',
      help: 'Differences between the contract and schemas that records were met of, by kind and outcome',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    fetchErrors: new Counter({
      name: 'tributary_fetch_errors_total',
      help: 'Polls of the log that failed and were tried again',
      labelNames: ['reader'] as const,
      registers,
    }),
  };
}

function joinMetrics(registers: Registry[]) {
  const labelNames = ['dimension'] as const;
  return {
    joined: new Counter({
      name: 'tributary_join_total',
      help: 'Rows joined to a dimension, by match status',
      labelNames: ['dimension', 'match'] as const,
      registers,
    }),
    dimensionLag: new Gauge({
      name: 'tributary_dimension_lag_records',
      help: 'Offsets between what the state has applied and the end of the dimension topic',
      labelNames,
      registers,
    }),
    dimensionChanges: new Counter({
      name: 'tributary_dimension_changes_total',
      help: 'Changes applied to the state, by kind',
      labelNames: ['dimension', 'kind'] as const,
      registers,
    }),
    dimensionRows: new Gauge({
      name: 'tributary_state_rows',
      help: 'Rows that the projection of a dimension holds',
      labelNames,
      registers,
    }),
    stateBytes: new Gauge({
      name: 'tributary_state_bytes',
      help: 'Memory of the projection of a dimension',
      labelNames,
      registers,
    }),
    ready: new Gauge({
      name: 'tributary_ready',
      help: '1 once every dimension was read to the end that it had at start',
      registers,
    }),
  };
}

function commitMetrics(registers: Registry[]) {
  return {
    commits: new Counter({
      name: 'tributary_commits_total',
      help: 'Commits by table and outcome',
      labelNames: ['table', 'outcome'] as const,
      registers,
    }),
    commitConflicts: new Counter({
      name: 'tributary_commit_conflicts_total',
      help: 'Commits that another writer was faster than, by table; each was tried again',
      labelNames: ['table'] as const,
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'tributary_commit_duration_seconds',
      help: 'From the start of a flush to its commit, by step',
      labelNames: ['step'] as const,
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
      registers,
    }),
    lastCommit: new Gauge({
      name: 'tributary_last_commit_timestamp_seconds',
      help: 'When the last commit landed, Unix time',
      registers,
    }),
    freshness: new Histogram({
      name: 'tributary_freshness_seconds',
      help: 'From the oldest record of a batch, by its Kafka timestamp, to its commit',
      buckets: [1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600, 3600],
      registers,
    }),
  };
}

function memoryMetrics(registers: Registry[]) {
  return {
    bufferedRows: new Gauge({
      name: 'tributary_buffered_rows',
      help: 'Rows that wait for the next flush',
      registers,
    }),
    bufferedBytes: new Gauge({
      name: 'tributary_buffered_bytes',
      help: 'Bytes of rows and rejects that wait for the next flush',
      registers,
    }),
    residentBytes: new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident set size',
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    }),
    heapBytes: new Gauge({
      name: 'process_heap_used_bytes',
      help: 'JavaScript objects, collected or not yet; typed arrays and the store lie beside it',
      registers,
      collect() {
        this.set(process.memoryUsage().heapUsed);
      },
    }),
    activeResources: new Gauge({
      name: 'process_active_resources',
      help: 'Sockets, timers and other things that keep the process running',
      registers,
      collect() {
        this.set(process.getActiveResourcesInfo().length);
      },
    }),
    cpuSeconds: new Counter({
      name: 'process_cpu_seconds_total',
      help: 'User and system CPU time',
      registers,
      collect() {
        const { user, system } = process.cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    }),
  };
}
