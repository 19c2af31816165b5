import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../enrich/clock.ts';
import { stackAddresses } from './stack-addresses.ts';

/** The process environment, read here and nowhere else, over the addresses of a stack with moved ports. */
export const environment: Readonly<Record<string, string | undefined>> = {
  ...stackAddresses(process.env),
  ...process.env,
};

function addressOf(variable: string, fallback: string): string {
  const value = environment[variable];
  return value === undefined || value === '' ? fallback : value;
}

/** Services that commands talk to but pipeline.yaml does not name; by default, those of the native stack. */
export const addresses = {
  trino: addressOf('TRINO_URL', 'http://127.0.0.1:18088'),
  registry: addressOf('SCHEMA_REGISTRY_URL', 'http://127.0.0.1:18080/apis/ccompat/v7'),
  connect: addressOf('CONNECT_URL', 'http://127.0.0.1:18083'),
  postgres: addressOf('POSTGRES_URL', 'postgres://app:app@127.0.0.1:15432/app'),
} as const;

/** The real clock, read here and nowhere else. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  random: () => Math.random(),
  newId: () => randomUUID(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch {
      // An aborted sleep just ends early.
    }
  },
};

const stopping = new AbortController();

/** Aborts at SIGTERM or SIGINT, the same signal at each call; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  if (process.listenerCount('SIGTERM') === 0) {
    const stop = (): void => {
      if (stopping.signal.aborted) process.exit(130);
      stopping.abort();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  }
  return stopping.signal;
}
