import type { ClickWorker } from './click-worker.ts';
import type { ErrorMessage } from './error-message.ts';

/** What a call of the port is, between threads. */
export type WorkerCall = {
  [Name in keyof ClickWorker]: { name: Name; args: Parameters<ClickWorker[Name]> };
}[keyof ClickWorker];

/** To the thread: a call, answered under its number. */
export type WorkerRequest = { call: number } & WorkerCall;

/**
 * From the thread: that it is open or why it is not, the answer to a call, or a fault of the log that it rides out by
 * itself.
 */
export type WorkerReply =
  | { kind: 'opened' }
  | { kind: 'not-opened'; error: ErrorMessage }
  | { kind: 'answer'; call: number; answer: unknown }
  | { kind: 'failure'; call: number; error: ErrorMessage }
  | { kind: 'fault'; error: ErrorMessage };
