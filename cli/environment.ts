import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../enrich/clock.ts';
import type { Environment } from '../configuration/yaml-section.ts';
import { EnrichError } from '../enrich/error.ts';
import { stackAddresses, stackRunDirectory } from './stack-addresses.ts';

/**
 * The process environment, read here and nowhere else, over the addresses of a stack with moved ports.
 * Errors: `config` where a variable that moves a port holds none.
 */
export function environment(): Environment {
  return { ...stackAddresses(process.env), ...process.env };
}

/** Services that commands talk to but pipeline.yaml does not name: their variables, and the native stack's defaults. */
const ADDRESSES = {
  trino: { variable: 'TRINO_URL', fallback: 'http://127.0.0.1:18088' },
  postgres: { variable: 'POSTGRES_URL', fallback: 'postgres://app:app@127.0.0.1:15432/app' },
  registry: {
    variable: 'SCHEMA_REGISTRY_URL',
    fallback: 'http://127.0.0.1:18080/apis/ccompat/v7',
  },
} as const;

/**
 * A service's address: as given on the command line, else from its variable, else the native stack's.
 * Errors: `config` for what is no address; its text is not repeated, since it may hold a password.
 */
export function addressOf(service: keyof typeof ADDRESSES, given?: string): string {
  const { variable, fallback } = ADDRESSES[service];
  const fromEnvironment = environment()[variable];
  const value = given ?? (fromEnvironment === '' ? undefined : fromEnvironment) ?? fallback;
  const subject = given === undefined ? variable : `--${service}`;
  const example = `an address such as ${fallback.replace(/\/\/.*@/, '//user:password@')}`;
  const scheme = service === 'postgres' ? /^postgres(ql)?:\/\/./ : /^https?:\/\/./;
  if (!scheme.test(value) || !URL.canParse(value)) {
    throw new EnrichError('config', `${subject}: expected ${example}`);
  }
  if (service !== 'postgres' && new URL(value).username !== '') {
    throw new EnrichError('config', `${subject}: expected no user or password in the address`);
  }
  return value;
}

/** Where the stack keeps what it runs on; state and ledgers beside it go with it at `make clean`. */
export function runDirectory(): string {
  return stackRunDirectory(process.env);
}

/** The real clock, read here and nowhere else. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  elapsedMs: () => performance.now(),
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
