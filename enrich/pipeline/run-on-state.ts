import type { EnrichError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { MetaWrite } from '../state/dimension-state.ts';
import { isStateFault } from '../state/open-state.ts';
import type { OpenedState } from '../state/open-state.ts';
import { keptEntries } from './kept-schemas.ts';
import { retryUntilAvailable } from './retry.ts';
import { runPipeline } from './run-pipeline.ts';
import type { PipelineOptions, PipelinePorts } from './run-pipeline.ts';

/** What `status` calls the trouble with it. */
const STATE = 'the state store';
/** Between two openings of a state that fails again and again. */
const REOPEN_AFTER_MS = 2_000;

const FAULT_TEXT = {
  reopen: 'the state store failed: it has to be opened again',
  renew: 'the state is too old: it is built again from the change topics',
};

/** A pipeline whose state is still to be opened. */
export type RunOnStateOptions = Omit<PipelineOptions, 'ports'> & {
  ports: Omit<PipelinePorts, 'state'>;
  openState: () => Promise<OpenedState>;
  /** Makes way for a state that is built anew; resolves to where damaged files are. Called once for each fault. */
  retireState: (error: EnrichError) => Promise<string | undefined>;
};

/**
 * Runs a pipeline until the signal, and opens its state again where that is all it takes: after a failed write
 * (a full disk is waited for), and, built anew from the change topics, where its files turn out to be damaged or
 * may have missed deletes. The state is no more than a copy of those topics, and the table alone says what was
 * delivered; so neither loses or doubles anything. Schemas are taken over from a state that is sound: a registry
 * that is away would keep the new one from being read. Errors: as `runPipeline`, `config`.
 */
export async function runOnState(options: RunOnStateOptions, signal: AbortSignal): Promise<void> {
  let kept: readonly MetaWrite[] | undefined = [];
  for (;;) {
    kept = await runOneState(options, kept, signal);
    if (kept === undefined || signal.aborted) return;
    await options.ports.clock.sleep(REOPEN_AFTER_MS, signal);
  }
}

/**
 * Opens the state, runs on it, and makes way for the next one; gives what is left to that, undefined after the signal.
 * In a call of its own: nothing may refer to a state once it is over, be it by an error that knows where it was thrown,
 * or there would be memory for its projections and those of the next one at once.
 */
async function runOneState(
  options: RunOnStateOptions,
  kept: readonly MetaWrite[],
  signal: AbortSignal,
): Promise<readonly MetaWrite[] | undefined> {
  const { ports, status, openState, retireState } = options;
  const { clock, logger } = ports;
  const opened = await retryUntilAvailable({
    what: 'opening the state',
    attempt: openState,
    clock,
    logger,
    status,
    signal,
  });
  status.overcome(STATE);
  if (opened.rebuilt !== undefined) tellOfDamage(logger, opened.rebuilt);
  const fault = await runUntilFault(options, { ...opened, kept }, signal);
  if (fault === undefined || signal.aborted) return undefined;
  if (fault.error.kind !== 'reopen') {
    const aside = await retireState(fault.error);
    if (aside !== undefined) tellOfDamage(logger, { aside, error: fault.error });
  }
  return fault.kept;
}

/** What the state failed with, and what is left to the next one; undefined after the signal. */
async function runUntilFault(
  options: RunOnStateOptions,
  { state, close, kept }: OpenedState & { kept: readonly MetaWrite[] },
  signal: AbortSignal,
): Promise<{ error: EnrichError; kept: readonly MetaWrite[] } | undefined> {
  const { ports, status } = options;
  let left = kept;
  try {
    for (const { name, value } of kept) await state.putMeta(name, value);
    left = [];
    await runPipeline({ ...options, ports: { ...ports, state } }, signal);
    return undefined;
  } catch (error) {
    if (!isStateFault(error)) throw error;
    status.starting();
    status.trouble(STATE, error.message);
    ports.logger.warn(FAULT_TEXT[error.kind === 'renew' ? 'renew' : 'reopen'], { error });
    return { error, kept: error.kind === 'renew' ? keptEntries(state) : left };
  } finally {
    // A store that failed may be unable to write what it holds; the change topics have it.
    await Promise.allSettled([close()]);
  }
}

function tellOfDamage(
  logger: Logger,
  { aside, error }: { aside: string; error: EnrichError },
): void {
  logger.warn('the state was damaged: it is built again from the change topics', { aside, error });
}
