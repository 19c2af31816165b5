import { parentPort, workerData } from 'node:worker_threads';
import { createParquetWriter } from '@iceberg-js/rest-client-shim/parquet/parquet-writer.ts';
import type { ParquetWriterOptions } from '@iceberg-js/rest-client-shim/parquet/parquet-writer.ts';
import { openStore } from '@iceberg-js/rest-client-shim/store/open-store.ts';
import { openPlatformaticLog } from '../enrich/source/platformatic-log.ts';
import type { PlatformaticLogOptions } from '../enrich/source/platformatic-log.ts';
import type { WorkerSpec } from '../enrich/worker/click-worker.ts';
import { openClickWorker } from '../enrich/worker/open-click-worker.ts';
import { serveClickWorker } from '../enrich/worker/serve-click-worker.ts';
import { systemClock } from './environment.ts';

/** What the thread of a click worker is started with; it has secrets, and stands in no message and no log. */
export type ClickWorkerData = {
  spec: WorkerSpec;
  kafka: Omit<PlatformaticLogOptions, 'random' | 'onFault'>;
  storage: Parameters<typeof openStore>[1];
  parquet: ParquetWriterOptions;
};

// The whole of a click worker's thread: connections of its own, and nothing that a worker does not need.
if (parentPort === null)
  throw new Error('assert: click-worker.ts runs in a thread of the pipeline');
await serveClickWorker(parentPort, async (onFault) => {
  const { spec, kafka, storage, parquet } = workerData as ClickWorkerData;
  const log = await openPlatformaticLog({ ...kafka, random: systemClock.random, onFault });
  const { store, close: closeStore } = openStore(spec.location, storage);
  const writer = createParquetWriter(parquet);
  return {
    worker: await openClickWorker(spec, { log, store, writer, clock: systemClock }),
    close: async () => {
      closeStore();
      await log.close();
    },
  };
});
