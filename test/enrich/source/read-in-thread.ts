import { parentPort, workerData } from 'node:worker_threads';
import { openPlatformaticLog } from '../../../enrich/source/platformatic-log.ts';
import { rowsOf } from './rows.ts';
import type { Row } from './rows.ts';

/** Reads a partition from its start, in a thread, until it has so many rows; answers with them. */
export type ReadInThread = { brokers: readonly string[]; topic: string; rows: number };

const { brokers, topic, rows: rowsMin } = workerData as ReadInThread;
const log = await openPlatformaticLog({
  brokers,
  clientId: 'source-thread-test',
  random: Math.random,
  onFault: () => undefined,
});
const reader = await log.openReader();
reader.assign([{ topic, partition: 0, nextOffset: 0n }]);
const rows: Row[] = [];
while (rows.length < rowsMin) {
  await reader.poll((_topic, _partition, records) => rows.push(...rowsOf(records)), {
    waitMsMax: 500,
    bytesMax: 2 ** 20,
  });
}
await log.close();
parentPort?.postMessage({ rows, crc32c: log.crc32cImplementation });
