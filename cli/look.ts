import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { EnrichError } from '../enrich/error.ts';
import { isUnavailable } from '../enrich/pipeline/retry.ts';
import { systemClock } from './environment.ts';
import { terminal } from './terminal.ts';

/** For commands that only look: somebody sits before the screen. */
export const LOOK_MS_MAX = 5_000;

/** One try and one retry. */
const LOOKS_MS_MAX = 2 * LOOK_MS_MAX;
const TELL_AFTER_MS = 2_000;

/** Says on stderr what is being waited for, once that takes two seconds. */
async function tellWaiting<T>(what: string, action: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const tell = async (): Promise<void> => {
    await systemClock.sleep(TELL_AFTER_MS, settled.signal);
    if (!settled.signal.aborted) terminal.progress(`waiting for ${what} ...`);
  };
  void tell();
  try {
    return await action;
  } finally {
    settled.abort();
  }
}

const TELL_EVERY_MS = 10_000;

/**
 * Runs an action and says on stderr, after two seconds and then every ten, how far it is, as it told last; nothing while
 * `quiet`.
 */
export async function tellProgress<T>(
  what: string,
  { quiet }: { quiet: boolean },
  action: (tell: (state: string) => void) => Promise<T>,
): Promise<T> {
  const settled = new AbortController();
  let state = `waiting for ${what} ...`;
  const repeat = async (): Promise<void> => {
    for (let waitMs = TELL_AFTER_MS; ; waitMs = TELL_EVERY_MS) {
      await systemClock.sleep(waitMs, settled.signal);
      if (settled.signal.aborted) return;
      if (!quiet) terminal.progress(state);
    }
  };
  void repeat();
  try {
    return await action((text) => {
      state = text;
    });
  } finally {
    settled.abort();
  }
}

/**
 * What the action gives, or `unavailable` after ten seconds: a peer that accepts and never answers must
 * not hold a command that only looks. What the action opened is left to the end of the process.
 */
export async function look<T>(what: string, action: Promise<T>): Promise<T> {
  const settled = new AbortController();
  const giveUp = async (): Promise<never> => {
    await systemClock.sleep(LOOKS_MS_MAX, settled.signal);
    const seconds = LOOKS_MS_MAX / 1000;
    throw new EnrichError('unavailable', `no answer from ${what} within ${seconds} s`);
  };
  const limit = giveUp();
  // Once the action has won, nobody waits for the limit any more.
  limit.catch(() => undefined);
  try {
    return await tellWaiting(what, Promise.race([action, limit]));
  } finally {
    settled.abort();
  }
}

/**
 * What the action gives, which asks the catalog alone; as `look`. A catalog reads the table's metadata from the object
 * store: where that is away too, the error names it. Errors: `unavailable`.
 */
export async function lookAtCatalog<T>(
  { catalog, storage: { endpoint } }: PipelineConfig,
  action: Promise<T>,
): Promise<T> {
  try {
    return await look(`the catalog at ${catalog.uri}`, action);
  } catch (error) {
    if (!isUnavailable(error) || endpoint === undefined) throw error;
    const store = await assertAnswers(`S3 at ${endpoint}`, endpoint).catch((away: Error) => away);
    if (store === undefined) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${reason}; nor can the object store be reached, from which a catalog reads: ${store.message}`;
    throw new EnrichError('unavailable', message, { cause: store });
  }
}

/** Resolves when something answers at the URL, whatever it says. Errors: `unavailable`. */
export async function assertAnswers(what: string, url: string): Promise<void> {
  const ask = async (): Promise<void> => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(LOOK_MS_MAX) });
      await response.body?.cancel();
    } catch (cause) {
      const reason = (cause as Error).name === 'TimeoutError' ? 'no answer' : 'nothing listens';
      throw new EnrichError('unavailable', `${what}: ${reason}`, { cause });
    }
  };
  await tellWaiting(what, ask().catch(ask));
}
