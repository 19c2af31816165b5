import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { PipelineStatus } from './pipeline-status.ts';

const BACKOFF_MS_MIN = 200;
const BACKOFF_MS_MAX = 10_000;
const REMIND_EVERY_MS = 30_000;
/** Kinds of error that are waited out while the pipeline runs. */
const WAITED_FOR: ReadonlySet<string> = new Set(['unavailable', 'commit-unknown', 'conflict']);

/** True for a fault of the infrastructure, which waits and is tried again; it never makes a reject. */
export function isUnavailable(error: unknown): boolean {
  return errorKind(error) === 'unavailable';
}

/**
 * True for what only ended because the signal came: a wait for what is away or for the outcome of a commit, or work
 * that the signal itself has broken off.
 */
export function isCutShort(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || WAITED_FOR.has(errorKind(error) ?? ''));
}

/** The `kind` of one of our typed errors, or undefined. */
export function errorKind(error: unknown): string | undefined {
  const kind = (error as { kind?: unknown } | undefined)?.kind;
  return typeof kind === 'string' ? kind : undefined;
}

/**
 * Runs `attempt` until it succeeds, backing off with jitter while it fails with one of `kinds`
 * (default: `unavailable`). Visible: the first failure of a row is a warning, repeated while it lasts, the
 * recovery is told too, and `status` shows it meanwhile. Anything else, and the signal, ends it with the error.
 */
export async function retryUntilAvailable<T>(options: {
  what: string;
  attempt: () => Promise<T>;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  kinds?: readonly string[];
  /** The longest wait between two attempts; default 10 s. */
  backoffMsMax?: number;
  status?: Pick<PipelineStatus, 'trouble' | 'overcome'>;
}): Promise<T> {
  const { what, attempt, clock, logger, signal, status, kinds = ['unavailable'] } = options;
  const { backoffMsMax = BACKOFF_MS_MAX } = options;
  let failures = 0;
  let toldMs = Number.NEGATIVE_INFINITY;
  try {
    for (;;) {
      try {
        const result = await attempt();
        if (failures > 0) logger.info(`${what}: works again`, { failures });
        return result;
      } catch (error) {
        if (signal.aborted || !kinds.includes(errorKind(error) ?? '')) throw error;
        failures++;
        status?.trouble(what, error instanceof Error ? error.message : String(error));
        if (clock.elapsedMs() - toldMs >= REMIND_EVERY_MS) {
          toldMs = clock.elapsedMs();
          logger.warn(`${what}: unavailable, trying again`, { failures, error });
        }
        const ceiling = Math.min(backoffMsMax, BACKOFF_MS_MIN * 2 ** Math.min(failures, 10));
        await clock.sleep(ceiling * (0.5 + clock.random() / 2), signal);
        if (signal.aborted) throw error;
      }
    }
  } finally {
    status?.overcome(what);
  }
}
