import { Worker } from 'node:worker_threads';
import type { ClickWorker } from './click-worker.ts';
import { errorFromMessage } from './error-message.ts';
import type { WorkerCall, WorkerReply, WorkerRequest } from './worker-messages.ts';

/** How long a thread has to close what it holds before it is ended. */
const CLOSE_MS_MAX = 2_000;

/**
 * Starts a thread and resolves, once it is open, to the worker in it. `script` calls `serveClickWorker`;
 * `workerData`, which may hold secrets, is for it alone and stands in no message.
 *
 * Errors: what the thread could not open with. A thread that ends by itself, or in which something is thrown that
 * nobody awaits, fails all calls, those under way and those to come, with an error without a kind.
 */
export async function startClickWorkerThread(options: {
  script: URL;
  name: string;
  workerData: unknown;
  /** Told about each fault that the log of the thread rides out by itself. */
  onFault: (fault: Error) => void;
}): Promise<ClickWorker> {
  const thread = new ThreadedClickWorker(options);
  try {
    await thread.opened;
    return thread;
  } catch (error) {
    await thread.end();
    throw error;
  }
}

type Pending = { resolve: (answer: unknown) => void; reject: (error: Error) => void };

class ThreadedClickWorker implements ClickWorker {
  readonly opened: Promise<void>;
  readonly #thread: Worker;
  readonly #exited: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #failure: Error | undefined;

  constructor(options: {
    script: URL;
    name: string;
    workerData: unknown;
    onFault: (fault: Error) => void;
  }) {
    const { script, name, workerData, onFault } = options;
    this.#thread = new Worker(script, { name, workerData });
    const opened = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<void>();
    this.opened = opened.promise;
    this.#exited = exited.promise;
    this.#thread.on('message', (reply: WorkerReply) => {
      switch (reply.kind) {
        case 'opened':
          opened.resolve();
          return;
        case 'not-opened':
          opened.reject(errorFromMessage(reply.error));
          return;
        case 'fault':
          onFault(errorFromMessage(reply.error));
          return;
        case 'answer':
          this.#settle(reply.call)?.resolve(reply.answer);
          return;
        case 'failure':
          this.#settle(reply.call)?.reject(errorFromMessage(reply.error));
      }
    });
    const fail = (error: Error): void => {
      this.#failure ??= error;
      opened.reject(this.#failure);
      for (const call of this.#pending.keys()) this.#settle(call)?.reject(this.#failure);
    };
    this.#thread.on('error', (cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      fail(new Error(`${name} failed: ${reason}`, { cause }));
    });
    this.#thread.on('exit', (code) => {
      fail(new Error(`${name} ended with code ${code}`));
      exited.resolve();
    });
  }

  assign(...args: Parameters<ClickWorker['assign']>) {
    return this.#call({ name: 'assign', args }) as ReturnType<ClickWorker['assign']>;
  }

  take(...args: Parameters<ClickWorker['take']>) {
    return this.#call({ name: 'take', args }) as ReturnType<ClickWorker['take']>;
  }

  learn(...args: Parameters<ClickWorker['learn']>) {
    return this.#call({ name: 'learn', args }) as ReturnType<ClickWorker['learn']>;
  }

  seal() {
    return this.#call({ name: 'seal', args: [] }) as ReturnType<ClickWorker['seal']>;
  }

  join(...args: Parameters<ClickWorker['join']>) {
    return this.#call({ name: 'join', args }) as ReturnType<ClickWorker['join']>;
  }

  write(...args: Parameters<ClickWorker['write']>) {
    return this.#call({ name: 'write', args }) as ReturnType<ClickWorker['write']>;
  }

  abandon() {
    return this.#call({ name: 'abandon', args: [] }) as ReturnType<ClickWorker['abandon']>;
  }

  async close(): Promise<void> {
    // It may have ended already, or hang in what was given up.
    this.#call({ name: 'close', args: [] }).catch(() => undefined);
    const timer = setTimeout(() => void this.#thread.terminate(), CLOSE_MS_MAX);
    await this.#exited;
    clearTimeout(timer);
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }

  #call(made: WorkerCall): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const call = this.#calls++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(call, { resolve, reject });
    this.#thread.postMessage({ call, ...made } satisfies WorkerRequest);
    return promise;
  }

  #settle(call: number): Pending | undefined {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    return pending;
  }
}
