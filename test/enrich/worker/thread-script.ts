import { parentPort, workerData } from 'node:worker_threads';
import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import { EnrichError } from '../../../enrich/error.ts';
import type { ClickWorker } from '../../../enrich/worker/click-worker.ts';
import { serveClickWorker } from '../../../enrich/worker/serve-click-worker.ts';

/** What `take` is asked to do, by its wait. */
export const TAKES = { away: 1, bug: 2, throwUnheard: 3, exit: 4, hang: 5 };

const EMPTY = { rows: 0, bytes: 0, isFull: false, dueInMs: undefined };

/** Answers that show what has arrived. */
function answering(onFault: (fault: Error) => void): ClickWorker {
  let position = new Map<number, bigint>();
  return {
    assign: async (next) => {
      position = new Map(next);
    },
    take: async (waitMsMax) => {
      switch (waitMsMax) {
        case TAKES.away:
          onFault(new EnrichError('unavailable', 'broker 2 is away'));
          throw new CatalogError('unavailable', 'the store is away', {
            context: { file: 's3://a', offset: 2n ** 60n, socket: () => undefined },
            cause: new TypeError('socket hang up', { cause: new Error('ECONNRESET') }),
          });
        case TAKES.bug:
          throw new RangeError('no such column');
        case TAKES.throwUnheard:
          setImmediate(() => {
            throw new Error('nobody awaits this');
          });
          return new Promise(() => undefined);
        case TAKES.exit:
          process.exit(9);
          break;
        case TAKES.hang:
          for (;;);
      }
      const lag = new Map([...position].map(([partition, next]) => [partition, Number(next)]));
      return { ...EMPTY, lag, missing: [], ahead: [] };
    },
    learn: async () => undefined,
    seal: async () => ({
      id: 7,
      ranges: new Map([...position].map(([partition, end]) => [partition, { start: 0n, end }])),
      rows: 0,
      schemaIds: new Set(),
      rejects: new Map(),
      filtered: new Map(),
      rejectKinds: new Map(),
      rejectExample: undefined,
      oldestTimestampMs: undefined,
    }),
    join: async ({ projections }) => new Map([...projections].map(([name], hits) => [name, hits])),
    write: async () => ({ files: [], rejects: undefined }),
    abandon: async () => undefined,
    close: async () => undefined,
  };
}

if (parentPort !== null) {
  await serveClickWorker(parentPort, async (onFault) => {
    if (workerData === 'does not open') {
      throw new EnrichError('fenced', 'the topic was recreated', { context: { topicId: 'b' } });
    }
    return { worker: answering(onFault), close: async () => undefined };
  });
}
