import { CatalogError } from '../error.ts';
import type { AppendOptions } from './append.ts';

const FIRST_BACKOFF_MS = 50;

/**
 * How long to wait before try number `round` (from 0) is repeated: doubling from 50 ms up to
 * `backoffMsMax`, of which a random half is taken off, so that writers that collided once do not
 * collide again.
 */
export function backoffMs(round: number, options: Pick<AppendOptions, 'clock' | 'limits'>): number {
  const ceilingMs = Math.min(FIRST_BACKOFF_MS * 2 ** round, options.limits.backoffMsMax);
  return ceilingMs * (1 - options.clock.random() / 2);
}

/**
 * Repeats an action that is `unavailable`, at most `attemptsMax` times, and tells of each failure; other
 * errors end it at once.
 */
export async function whileUnavailable<T>(
  options: Pick<AppendOptions, 'clock' | 'limits' | 'signal' | 'commitId' | 'onEvent'>,
  action: () => Promise<T>,
): Promise<T> {
  for (let round = 0; ; round += 1) {
    try {
      return await action();
    } catch (error) {
      const isLast = round + 1 >= options.limits.attemptsMax || options.signal?.aborted === true;
      if (!(error instanceof CatalogError) || !isUnavailable(error) || isLast) throw error;
      const { commitId } = options;
      const context = { commitId, ...error.context };
      options.onEvent?.({ step: 'unavailable', attempt: round, message: error.message, context });
    }
    await options.clock.sleep(backoffMs(round, options), options.signal);
  }
}

/** Whether an error says that the same thing may work later. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof CatalogError && error.kind === 'unavailable';
}
