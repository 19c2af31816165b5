import { parentPort, workerData } from 'node:worker_threads';
import { loadCrc32c } from '../../enrich/source/wire/crc32c.ts';
import { openBatchProducer } from '../kafka/batch-producer.ts';
import { fillShare, type Fill, type Share } from './fill-share.ts';

/** A thread of `fillTopic`: says `{ records, bytes }` for each request that goes out, and ends. */
const { fill, share, broker } = workerData as { fill: Fill; share: Share; broker: string };
const producer = await openBatchProducer(broker);
await fillShare(fill, share, {
  send: (batches) => producer.send(batches),
  crc32c: loadCrc32c().sum,
  onSent: (records, bytes) => parentPort?.postMessage({ records, bytes }),
});
await producer.close();
