import type { MessagePort } from 'node:worker_threads';
import type { ClickWorker } from './click-worker.ts';
import { errorToMessage } from './error-message.ts';
import type { WorkerReply, WorkerRequest } from './worker-messages.ts';

/** A worker, and how to close what it works with. */
export type OpenedClickWorker = { worker: ClickWorker; close: () => Promise<void> };

/**
 * Opens a worker in this thread and answers the calls that come for it, until `close`. Calls are made as they come:
 * the worker itself knows which of them wait for each other.
 */
export async function serveClickWorker(
  port: MessagePort,
  open: (onFault: (fault: Error) => void) => Promise<OpenedClickWorker>,
): Promise<void> {
  const reply = (message: WorkerReply): void => port.postMessage(message);
  let opened: OpenedClickWorker;
  try {
    opened = await open((fault) => reply({ kind: 'fault', error: errorToMessage(fault) }));
  } catch (error) {
    reply({ kind: 'not-opened', error: errorToMessage(error) });
    return;
  }
  const { worker, close } = opened;
  const serve = async (request: WorkerRequest): Promise<void> => {
    const { call } = request;
    try {
      const answer = await make(worker, request);
      if (request.name === 'close') await close();
      reply({ kind: 'answer', call, answer });
    } catch (error) {
      reply({ kind: 'failure', call, error: errorToMessage(error) });
    }
    // Without it the thread has nothing left to wait for.
    if (request.name === 'close') port.close();
  };
  port.on('message', (request: WorkerRequest) => void serve(request));
  reply({ kind: 'opened' });
}

function make(worker: ClickWorker, { name, args }: WorkerRequest): Promise<unknown> {
  const method = worker[name] as (...args: readonly unknown[]) => Promise<unknown>;
  return method.apply(worker, args);
}
