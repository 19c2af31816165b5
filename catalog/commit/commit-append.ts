import { CatalogError } from '../error.ts';
import type { PreparedCommit } from '../rest/catalog.ts';
import { ancestors } from '../spec/snapshot-walk.ts';
import type { TableMetadata } from '../spec/table-metadata.ts';
import type { AppendEvent, AppendOptions, AppendOutcome, AppendVerdict } from './append.ts';
import { backoffMs, isUnavailable, whileUnavailable } from './backoff.ts';
import { stageAppend, writeManifests } from './stage-append.ts';
import type { NewManifest, StagedAppend } from './stage-append.ts';

/** What the attempts of one call share. */
type Run = {
  options: AppendOptions;
  /** Attempts staged so far. */
  attempt: number;
  /** Snapshots that were ever sent: one of them in the table's ancestry is this append. */
  sentSnapshotIds: Set<bigint>;
  newManifests: readonly NewManifest[] | undefined;
  /** The catalog's clock when the table was loaded last, less the elapsed time of that moment. */
  serverAheadMs: number | undefined;
};

/** What is known after one sending. */
type Sending =
  | { kind: 'accepted'; metadata: TableMetadata }
  /** 409: this sending has changed nothing; an earlier copy of it may have. */
  | { kind: 'refused'; error: unknown }
  | { kind: 'unknown'; error: unknown };

/**
 * Appends data files to a table as one snapshot that lands once or not at all, whatever becomes of
 * the answers. Every attempt asserts the table's UUID and the very parent that `decide` has judged, so
 * of all copies and all rivals at most one moves `main` from there. An unknown outcome is resolved by
 * looking for our snapshot and, while `main` stands still, by sending the identical bytes again; only
 * once `main` has moved without us, which makes every copy sent so far void, is the append moved to
 * the new head. Nothing is ever deleted or overwritten (INVARIANTS.md 4).
 *
 * Errors: `commit-unknown` where the outcome could not be learned within `unknownWaitMsMax`: call again
 * with the same `commitId`, and the call finds the commit or goes on (a copy still under way is fenced
 * by its parent as soon as the later call succeeds); `conflict` after `attemptsMax` attempts, none of
 * them in the table; `fenced` where the table or a partition spec is gone or recreated; `unavailable`,
 * `config`, `unauthorized` and `corrupt` as met. What `decide` throws is passed on. When `signal` is
 * aborted: its reason, or `commit-unknown` while an outcome is unknown.
 */
export async function commitAppend(options: AppendOptions): Promise<AppendOutcome> {
  const run: Run = {
    options,
    attempt: 0,
    sentSnapshotIds: new Set(),
    newManifests: undefined,
    serverAheadMs: undefined,
  };
  let metadata = await whileUnavailable(options, () => loadTable(run));
  for (;;) {
    const verdict = judge(run, metadata);
    if (verdict.kind !== 'append') return outcomeOf(run, verdict, metadata);
    if (run.attempt >= options.limits.attemptsMax) throw attemptsExhausted(run);
    options.signal?.throwIfAborted();

    const staged = await stage(run, metadata, verdict);
    run.sentSnapshotIds.add(staged.snapshotId);
    const sending = await send(staged.commit);
    switch (sending.kind) {
      case 'accepted':
        return {
          kind: 'committed',
          metadata: sending.metadata,
          snapshotId: staged.snapshotId,
          attempts: run.attempt,
        };
      case 'refused':
        tell(run, 'conflict', 'the catalog refused the commit', { error: sending.error });
        await options.clock.sleep(backoffMs(run.attempt - 1, options));
        metadata = await reload(run);
        break;
      case 'unknown': {
        tell(run, 'unknown-outcome', 'the outcome of the commit is unknown', {
          error: sending.error,
          snapshotId: staged.snapshotId,
        });
        const resolved = await resolveUnknown(run, staged, sending.error);
        if (resolved.kind === 'landed') return resolved;
        metadata = resolved.metadata;
      }
    }
  }
}

function judge(run: Run, metadata: TableMetadata): AppendVerdict {
  return isOurs(run, metadata) ? { kind: 'landed' } : run.options.decide(metadata);
}

/** Whether one of the snapshots that this call has sent is the head or an ancestor of it. */
function isOurs(run: Run, metadata: TableMetadata): boolean {
  if (run.sentSnapshotIds.size === 0) return false;
  for (const snapshot of ancestors(metadata)) {
    if (run.sentSnapshotIds.has(snapshot.snapshotId)) return true;
  }
  return false;
}

function outcomeOf(
  run: Run,
  verdict: Exclude<AppendVerdict, { kind: 'append' }>,
  metadata: TableMetadata,
): AppendOutcome {
  if (verdict.kind === 'landed') return landed(run, metadata);
  if (verdict.kind === 'rewrite') return { kind: 'rewrite', metadata };
  tell(run, 'dropped', verdict.reason, { snapshotId: metadata.currentSnapshotId });
  return { kind: 'dropped', metadata, reason: verdict.reason };
}

function landed(run: Run, metadata: TableMetadata): Extract<AppendOutcome, { kind: 'landed' }> {
  tell(run, 'landed-elsewhere', 'the commit is in the table already', {
    head: metadata.currentSnapshotId,
  });
  return { kind: 'landed', metadata, attempts: run.attempt };
}

async function stage(
  run: Run,
  metadata: TableMetadata,
  verdict: Extract<AppendVerdict, { kind: 'append' }>,
): Promise<StagedAppend> {
  const { options } = run;
  run.attempt += 1;
  if (run.attempt > 1) {
    tell(run, 'rebase', 'the append moves to another parent', {
      parent: metadata.currentSnapshotId,
    });
  }
  run.newManifests ??= await whileUnavailable(options, () =>
    writeManifests(options, metadata, verdict.evolution),
  );
  const { newManifests, attempt, serverAheadMs } = run;
  const parts = { metadata, verdict, newManifests, attempt, serverAheadMs };
  return whileUnavailable(options, () => stageAppend(options, parts));
}

/**
 * Sends once, and the identical bytes once more after `unauthorized` (nothing was applied then).
 * Whatever is no clear answer counts as unknown, an unreadable answer too. Throws `fenced`, `config`
 * and a second `unauthorized`.
 */
async function send(commit: PreparedCommit, mayResend = true): Promise<Sending> {
  try {
    return { kind: 'accepted', metadata: (await commit.send()).metadata };
  } catch (error) {
    if (!(error instanceof CatalogError)) return { kind: 'unknown', error };
    switch (error.kind) {
      case 'conflict':
        return { kind: 'refused', error };
      case 'unauthorized':
        if (!mayResend) throw error;
        return send(commit, false);
      case 'fenced':
      case 'config':
        throw error;
      case 'commit-unknown':
      case 'unavailable':
      case 'corrupt':
        return { kind: 'unknown', error };
    }
  }
}

/**
 * Finds out what became of a commit: landed, void because `main` has moved without it, or overtaken by a schema that
 * asks for other files. Both copies
 * of a resend assert the same parent, so at most one lands, and a refused resend says only that `main`
 * has moved: perhaps by the first copy. The wait is bounded because some catalogs answer a request that
 * they will never accept with 500.
 */
async function resolveUnknown(
  run: Run,
  staged: StagedAppend,
  firstError: unknown,
): Promise<
  Extract<AppendOutcome, { kind: 'landed' }> | { kind: 'moved'; metadata: TableMetadata }
> {
  const { clock, limits, signal } = run.options;
  const startMs = clock.elapsedMs();
  let error = firstError;
  let sleptMs = 0;
  for (let round = 0; ; round += 1) {
    const delayMs = Math.max(1, backoffMs(round, run.options));
    const waitedMs = Math.max(sleptMs, clock.elapsedMs() - startMs);
    if (waitedMs + delayMs > limits.unknownWaitMsMax || signal?.aborted === true) {
      throw outcomeUnknown(run, error);
    }
    await clock.sleep(delayMs);
    sleptMs += delayMs;

    const metadata = await loadIfAvailable(run);
    if (metadata === undefined) continue;
    const verdict = judge(run, metadata);
    if (verdict.kind === 'landed') return landed(run, metadata);
    // The schema has moved, `main` has not: what is written again asserts the same parent under the same commit id.
    if (verdict.kind === 'rewrite') return { kind: 'moved', metadata };
    if (metadata.currentSnapshotId !== staged.parentSnapshotId) return { kind: 'moved', metadata };

    tell(run, 'resend', 'main has not moved: the identical request is sent again', { round });
    const sending = await send(staged.commit);
    if (sending.kind === 'accepted') return landed(run, sending.metadata);
    error = sending.error;
  }
}

/** Errors: `fenced` where the table is gone or another one bears its name; as `Catalog.loadTable`. */
async function loadTable(run: Run): Promise<TableMetadata> {
  const { options } = run;
  const loaded = await options.catalog.loadTable(options.identifier);
  const table = [...options.identifier.namespace, options.identifier.name].join('.');
  if (loaded === undefined) {
    throw new CatalogError('fenced', `table ${table} is gone`, { context: { table } });
  }
  const { tableUuid } = loaded.metadata;
  if (tableUuid.toLowerCase() !== options.tableUuid.toLowerCase()) {
    throw new CatalogError('fenced', `table ${table} was recreated: its UUID is another`, {
      context: { table, expected: options.tableUuid, found: tableUuid },
    });
  }
  const { serverTimeMs } = loaded;
  run.serverAheadMs =
    serverTimeMs === undefined ? undefined : serverTimeMs - options.clock.elapsedMs();
  return loaded.metadata;
}

/** After a refusal too: something below may have sent the request twice, and the first copy landed. */
async function reload(run: Run): Promise<TableMetadata> {
  try {
    return await whileUnavailable(run.options, () => loadTable(run));
  } catch (error) {
    throw isUnavailable(error) ? outcomeUnknown(run, error) : error;
  }
}

async function loadIfAvailable(run: Run): Promise<TableMetadata | undefined> {
  try {
    return await loadTable(run);
  } catch (error) {
    if (isUnavailable(error)) return undefined;
    throw error;
  }
}

function outcomeUnknown(run: Run, cause: unknown): CatalogError {
  const { commitId } = run.options;
  return new CatalogError('commit-unknown', `the outcome of commit ${commitId} is unknown`, {
    context: { commitId, attempt: run.attempt, snapshotIds: [...run.sentSnapshotIds] },
    cause,
  });
}

function attemptsExhausted(run: Run): CatalogError {
  const { commitId } = run.options;
  return new CatalogError('conflict', `commit ${commitId} lost ${run.attempt} races`, {
    context: { commitId, attempts: run.attempt },
  });
}

function tell(
  run: Run,
  step: AppendEvent['step'],
  message: string,
  context: Readonly<Record<string, unknown>>,
): void {
  const { commitId } = run.options;
  run.options.onEvent?.({ step, attempt: run.attempt, message, context: { commitId, ...context } });
}
