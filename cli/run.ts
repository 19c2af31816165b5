import type { Command } from 'commander';
import { createParquetWriter } from '@iceberg-js/rest-client-shim/parquet/parquet-writer.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { startHttpServer } from '../enrich/http-server.ts';
import { createJsonLogger } from '../enrich/log.ts';
import type { Logger } from '../enrich/log.ts';
import { createMetrics } from '../enrich/metrics.ts';
import { DIMENSION_FEED, KAFKA, PipelineStatus } from '../enrich/pipeline/pipeline-status.ts';
import { isCutShort, retryUntilAvailable } from '../enrich/pipeline/retry.ts';
import { runOnState } from '../enrich/pipeline/run-on-state.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { openPlatformaticLog } from '../enrich/source/platformatic-log.ts';
import type { DimensionDefinition } from '../enrich/state/dimension-record.ts';
import { openState, retireState } from '../enrich/state/open-state.ts';
import type { OpenedState } from '../enrich/state/open-state.ts';
import type { ClickWorker, WorkerSpec } from '../enrich/worker/click-worker.ts';
import { startClickWorkerThread } from '../enrich/worker/click-worker-thread.ts';
import { contractFields, isScalarField } from '../schemas/contract-field.ts';
import type { ClickWorkerData } from './click-worker.ts';
import { stopSignal, systemClock } from './environment.ts';
import { loadConfig } from './load-config.ts';
import { logToStdout } from './log-output.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import {
  kafkaOptions,
  openCatalog,
  openSchemaRegistry,
  openTableStore,
  storeOptions,
} from './open-lake.ts';

const PARQUET = { rowGroupRowsMax: 250_000, zstdLevel: 1 };
const WORKER_SCRIPT = new URL('./click-worker.ts', import.meta.url);

type RunOptions = ConfigOptions & { acceptGap?: boolean; acceptRollback?: boolean };

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run the pipeline until SIGTERM, which commits what it holds')
    .option('--accept-gap', 'go on where the log has lost records that were never read')
    .option('--accept-rollback', 'go on from the current snapshot after the table was rolled back')
    .addHelpText('after', '\nExample:\n  $ tributary run --config pipeline.yaml')
    .action((_options, command: Command) => run(command.optsWithGlobals()));
}

async function run(options: RunOptions): Promise<void> {
  const loaded = await loadConfig(options);
  const { config } = loaded;
  const logger = createJsonLogger(logToStdout(), systemClock.nowMs);
  const metrics = createMetrics();
  const status = new PipelineStatus(systemClock);
  const signal = stopSignal();
  const http = await startHttpServer({ ...config.http, metrics, health: status });
  logger.info('listening', { host: config.http.host, port: http.port });
  const opened: Closer[] = [() => http.close()];
  try {
    const ports = await openPorts(config, { logger, status, signal }, opened);
    await runOnState(
      {
        config,
        contracts: loaded.contracts,
        ports: { ...ports, clock: systemClock, logger, metrics },
        openState: () => openPipelineState(loaded, { logger, status }),
        retireState: (error) => {
          const { directory } = config.state;
          return retireState({ directory, nowMs: systemClock.nowMs(), error });
        },
        status,
        acceptGap: options.acceptGap === true,
        acceptRollback: options.acceptRollback === true,
      },
      signal,
    );
  } catch (error) {
    if (isCutShort(error, signal)) {
      logger.info('stopped while it waited', { error });
      return;
    }
    logger.error('pipeline failed', { error });
    throw error;
  } finally {
    // What cannot be closed cleanly ends with the process.
    for (const close of opened.toReversed()) await Promise.allSettled([close()]);
  }
}

type Closer = () => unknown;

/** Opens what the pipeline runs on; what was opened before a failure is in `opened` too. */
async function openPorts(
  config: PipelineConfig,
  { logger, status, signal }: { logger: Logger; status: PipelineStatus; signal: AbortSignal },
  opened: Closer[],
) {
  const retry = { clock: systemClock, logger, status, signal };
  const log = await retryUntilAvailable({
    what: 'connecting to Kafka',
    attempt: () => openLog(config, logger, status),
    ...retry,
  });
  opened.push(() => log.close());
  const catalog = await retryUntilAvailable({
    what: 'connecting to the catalog',
    attempt: () => openCatalog(config),
    ...retry,
  });
  const openStore = (location: string): ObjectStore => {
    const tableStore = openTableStore(config, location);
    opened.push(tableStore.close);
    return tableStore.store;
  };
  const onFault = faultTeller(logger, status);
  const openWorker = (spec: WorkerSpec): Promise<ClickWorker> =>
    startClickWorkerThread({
      script: WORKER_SCRIPT,
      name: `click worker ${spec.index + 1}`,
      workerData: {
        spec,
        kafka: kafkaOptions(config),
        storage: storeOptions(config),
        parquet: PARQUET,
      } satisfies ClickWorkerData,
      onFault,
    });
  const writer = createParquetWriter(PARQUET);
  return { log, catalog, registry: openSchemaRegistry(config), openStore, writer, openWorker };
}

function openLog(config: PipelineConfig, logger: Logger, status: PipelineStatus) {
  return openPlatformaticLog({
    ...kafkaOptions(config),
    random: systemClock.random,
    onFault: faultTeller(logger, status),
  });
}

/** Tells of faults of Kafka that the log rides out by itself. */
function faultTeller(logger: Logger, status: PipelineStatus): (fault: Error) => void {
  return (error) => {
    status.trouble(KAFKA, error.message);
    logger.warn('Kafka: riding out a fault', { error });
  };
}

/** The state with its projections; columns have the types of the dimension contracts. */
async function openPipelineState(
  loaded: LoadedConfig,
  { logger, status }: { logger: Logger; status: PipelineStatus },
): Promise<OpenedState> {
  const { directory } = loaded.config.state;
  const startedMs = systemClock.elapsedMs();
  const dimensions = dimensionDefinitions(loaded);
  const nowMs = systemClock.nowMs();
  const images = { clock: systemClock, logger };
  const onProgress = (): void => status.atWork(DIMENSION_FEED);
  const opened = await openState({ directory, dimensions, nowMs, images, onProgress });
  const rows = Object.fromEntries(
    dimensions.map(({ name }) => [name, opened.state.projection(name).rowCount]),
  );
  const seconds = (systemClock.elapsedMs() - startedMs) / 1000;
  logger.info('state opened', { directory, rows, seconds });
  return opened;
}

function dimensionDefinitions({ config, contracts }: LoadedConfig): DimensionDefinition[] {
  return config.dimensions.map((dimension) => {
    const contract = contracts.dimensions.get(dimension.name);
    const fields = contract === undefined ? [] : contractFields(contract).filter(isScalarField);
    const typeOf = (column: string) =>
      fields.find(({ name }) => name === column)?.tableType ?? 'string';
    const { name, primaryKey, joinKey, normaliser, columns } = dimension;
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
