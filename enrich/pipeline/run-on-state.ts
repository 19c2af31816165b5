import type { EnrichError } from '../error.ts';
import { isStateFault } from '../state/open-state.ts';
import type { OpenedState } from '../state/open-state.ts';
import { retryUntilAvailable } from './retry.ts';
import { runPipeline } from './run-pipeline.ts';
import type { PipelineOptions, PipelinePorts } from './run-pipeline.ts';

/** What `status` calls the trouble with it. */
const STATE = 'the state store';
/** Between two openings of a state that fails again and again. */
const REOPEN_AFTER_MS = 2_000;

/** A pipeline whose state is still to be opened; `damage` is what was found wrong with it at work. */
export type RunOnStateOptions = Omit<PipelineOptions, 'ports'> & {
  ports: Omit<PipelinePorts, 'state'>;
  openState: (damage: EnrichError | undefined) => Promise<OpenedState>;
};

/**
 * Runs a pipeline until the signal, and opens its state again where that is all it takes: after a failed write
 * (a full disk is waited for), and, built anew from the change topics, where its files turn out to be damaged.
 * The state is no more than a copy of those topics, and the table alone says what was delivered; so neither
 * loses or doubles anything. Errors: as `runPipeline`, `config`.
 */
export async function runOnState(options: RunOnStateOptions, signal: AbortSignal): Promise<void> {
  const { ports, status, openState } = options;
  const { clock, logger } = ports;
  let damage: EnrichError | undefined;
  for (;;) {
    const found = damage;
    const { state, close, rebuilt } = await retryUntilAvailable({
      what: 'opening the state',
      attempt: () => openState(found),
      clock,
      logger,
      status,
      signal,
    });
    status.overcome(STATE);
    if (rebuilt !== undefined) {
      const { aside, error } = rebuilt;
      logger.warn('the state was damaged: it is built again from the change topics', {
        aside,
        error,
      });
    }
    try {
      await runPipeline({ ...options, ports: { ...ports, state } }, signal);
      return;
    } catch (error) {
      if (!isStateFault(error)) throw error;
      status.starting();
      status.trouble(STATE, error.message);
      logger.warn('the state store failed: it has to be opened again', { error });
      if (signal.aborted) return;
      damage = error.kind === 'rebuild' ? error : undefined;
    } finally {
      // A store that failed may be unable to write what it holds; the change topics have it.
      await Promise.allSettled([close()]);
    }
    await clock.sleep(REOPEN_AFTER_MS, signal);
  }
}
