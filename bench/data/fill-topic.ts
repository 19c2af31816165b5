import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { systemClock } from '../../cli/environment.ts';
import type { Fill } from './fill-share.ts';

/** What filling a topic took. */
export type FillSpeed = { records: number; seconds: number; cpuSeconds: number; bytes: number };

const TELL_EVERY_MS = 5_000;

/** Fills a topic that is there, with a thread for each core. Errors: those of the first thread that fails. */
export async function fillTopic(options: {
  broker: string;
  fill: Fill;
  progress: (line: string) => void;
}): Promise<FillSpeed> {
  const { broker, fill, progress } = options;
  const shares = Math.min(availableParallelism(), fill.partitions);
  const startMs = systemClock.nowMs();
  const cpu = process.cpuUsage();
  const sent = { records: 0, bytes: 0 };
  const tell = setInterval(
    () => progress(`${fill.topic}: ${sent.records} of ${fill.count} records`),
    TELL_EVERY_MS,
  );
  const workers = Array.from({ length: shares }, (_, share) => {
    const workerData = { fill, share: { share, shares }, broker };
    return new Worker(new URL('fill-worker.ts', import.meta.url), { workerData });
  });
  try {
    await Promise.all(workers.map((worker) => ended(worker, sent)));
  } finally {
    clearInterval(tell);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (systemClock.nowMs() - startMs) / 1000;
  return { ...sent, seconds, cpuSeconds: (user + system) / 1e6 };
}

function ended(worker: Worker, sent: { records: number; bytes: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.on('message', (more: { records: number; bytes: number }) => {
    sent.records += more.records;
    sent.bytes += more.bytes;
  });
  worker.once('error', reject);
  worker.once('exit', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`a thread that fills a topic ended with ${code}`));
  });
  return promise;
}
