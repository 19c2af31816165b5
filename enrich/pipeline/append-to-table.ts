import { commitAppend } from '@iceberg-js/rest-client-shim/commit/commit-append.ts';
import type {
  AppendEvent,
  AppendOutcome,
  AppendVerdict,
} from '@iceberg-js/rest-client-shim/commit/append.ts';
import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import type { DataFile } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import type { ColumnBatch } from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { writeDataFiles } from '@iceberg-js/rest-client-shim/write/write-data-files.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { ForgottenCommits } from './forgotten-commits.ts';
import type { PipelineStatus } from './pipeline-status.ts';
import { retryUntilAvailable } from './retry.ts';
import { tableLost } from './tables.ts';
import type { TableHandle } from './tables.ts';

const COMMIT_ATTEMPTS_MAX = 20;
const COMMIT_UNKNOWN_WAIT_MS_MAX = 30_000;
const COMMIT_BACKOFF_MS_MAX = 5_000;
const UPLOADS_MAX = 4;
/** Where several write to a table, a lost race is counted and no news; more than these for one commit are. */
const UNTOLD_RACES_MAX = 3;

/** What writing to a table needs. */
export type LakeContext = {
  catalog: Catalog;
  store: ObjectStore;
  writer: DataFileWriter;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  status: Pick<PipelineStatus, 'trouble' | 'overcome'>;
  forgotten: ForgottenCommits;
};

/**
 * Writes and uploads the data files of a batch, waiting while the store is away. Each try has file names
 * of its own; what a failed one has uploaded stays as orphans.
 */
export async function writeFiles(
  context: LakeContext,
  wish: { table: TableHandle; batch: ColumnBatch; commitId: string; signal: AbortSignal },
): Promise<DataFile[]> {
  const { clock, logger, status, writer, store } = context;
  const { table, batch, commitId, signal } = wish;
  if (batch.rowCount === 0) return [];
  let attempt = 0;
  return retryUntilAvailable({
    what: `writing data files of ${table.identifier.name}`,
    attempt: () => {
      const round = attempt++;
      let file = 0;
      const newFileName = (): string => `${commitId}-${round}-${file++}`;
      const { metadata } = table;
      return writeDataFiles({
        metadata,
        batch,
        writer,
        store,
        newFileName,
        uploadsMax: UPLOADS_MAX,
      });
    },
    clock,
    logger,
    signal,
    status,
  });
}

/**
 * Appends files to a table as `decide` allows, waiting while the catalog is away or an outcome unknown:
 * the same commit id is looked for first each time. The table's newest metadata is kept. `lostRaces` counts the
 * sendings that the catalog refused because another commit came first. Errors: `fenced` where the table was dropped
 * or recreated.
 */
export async function appendToTable(
  context: LakeContext,
  wish: {
    table: TableHandle;
    commitId: string;
    files: readonly DataFile[];
    decide: (metadata: TableMetadata) => AppendVerdict;
    signal: AbortSignal;
  },
): Promise<AppendOutcome & { lostRaces: number }> {
  const { catalog, store, clock, logger, metrics, status } = context;
  const { table, commitId, files, decide, signal } = wish;
  const { name } = table.identifier;
  const what = `commit ${commitId} to ${name}`;
  let lostRaces = 0;
  const onEvent = (event: AppendEvent): void => {
    const { step, attempt, message, context: details } = event;
    if (step === 'unavailable') status.trouble(what, message);
    // The first failure of a row is told; `status` shows it as long as it lasts.
    if (step === 'unavailable' && attempt > 0) return;
    if (step === 'conflict') {
      lostRaces += 1;
      metrics.commitConflicts.inc({ table: name });
    }
    const isRace = step === 'conflict' || step === 'rebase';
    if (isRace && attempt <= UNTOLD_RACES_MAX) return;
    if (step === 'landed-elsewhere') {
      logger.info(`commit to ${name}: it stands in the table already`, { commitId });
      return;
    }
    logger.warn(`commit to ${name}: ${step}`, { commitId, attempt, detail: message, ...details });
  };
  const outcome = await retryUntilAvailable({
    what,
    attempt: () =>
      commitAppend({
        catalog,
        store,
        identifier: table.identifier,
        tableUuid: table.metadata.tableUuid,
        commitId,
        dataFiles: files,
        decide,
        clock,
        limits: {
          attemptsMax: COMMIT_ATTEMPTS_MAX,
          unknownWaitMsMax: COMMIT_UNKNOWN_WAIT_MS_MAX,
          backoffMsMax: COMMIT_BACKOFF_MS_MAX,
        },
        onEvent,
        signal,
      }).catch((error: unknown) => {
        // A table that is gone, or its layout: the catalog's word does not say what to do.
        const isCatalogs = error instanceof CatalogError && error.kind === 'fenced';
        throw isCatalogs ? tableLost(table.identifier, { cause: error }) : error;
      }),
    clock,
    logger,
    signal,
    status,
    kinds: ['unavailable', 'commit-unknown', 'conflict'],
  });
  table.metadata = outcome.metadata;
  metrics.commits.inc({ table: name, outcome: outcome.kind });
  return { ...outcome, lostRaces };
}
