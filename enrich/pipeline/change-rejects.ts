import { judgeAppend } from '../core/acceptance.ts';
import { deadLetterBatch } from '../core/dead-letters.ts';
import type { Reject } from '../core/dead-letters.ts';
import { readCommitted } from '../core/position.ts';
import type { OffsetRange } from '../core/position.ts';
import type { DimensionState } from '../state/dimension-state.ts';
import { appendToTable, writeFiles } from './append-to-table.ts';
import type { LakeContext } from './append-to-table.ts';
import { retryUntilAvailable } from './retry.ts';
import type { TableHandle } from './tables.ts';
import type { TopicDescription } from '../source/log.ts';

const SETTLE_EVERY_MS = 5_000;
/** More rejects than this wait for the dead-letter table before further changes are taken. */
const WAITING_MAX = 10_000;

/**
 * Records of change topics that are no change, on their way to the dead-letter table. They are stored in
 * the state in the batch that moves the topic's position, so a crash loses none; the dead-letter table
 * holds its own position for each change topic, so neither a crash nor a second process doubles any.
 */
export class ChangeRejects {
  readonly #state: DimensionState;
  readonly #waiting = new Map<string, Reject[]>();

  constructor(state: DimensionState, dimensions: readonly string[]) {
    this.#state = state;
    for (const name of dimensions) {
      this.#waiting.set(name, parseRejects(state.getMeta(metaName(name))));
    }
  }

  get isFull(): boolean {
    return [...this.#waiting.values()].some((rejects) => rejects.length >= WAITING_MAX);
  }

  /** Adds rejects, and gives the entry that must enter the store in the batch of their position. */
  add(dimension: string, rejects: readonly Reject[]): { name: string; value: Uint8Array }[] {
    if (rejects.length === 0) return [];
    const known = this.#waiting.get(dimension) ?? [];
    // What the state could not store is read, and rejected, again.
    const places = new Set(known.map(placeOf));
    const waiting = [...known, ...rejects.filter((reject) => !places.has(placeOf(reject)))];
    this.#waiting.set(dimension, waiting);
    return [{ name: metaName(dimension), value: formatRejects(waiting) }];
  }

  /** Appends what waits to the dead-letter table, until the signal. */
  async run(
    context: LakeContext & {
      pipeline: string;
      table: TableHandle;
      topics: ReadonlyMap<string, TopicDescription>;
    },
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      for (const [dimension, topic] of context.topics) {
        const rejects = this.#waiting.get(dimension) ?? [];
        if (rejects.length > 0) {
          await settle({ ...context, dimension, topic }, rejects, signal);
          await this.#forget(dimension, rejects);
        }
      }
      await context.clock.sleep(SETTLE_EVERY_MS, signal);
    }
  }

  async #forget(dimension: string, settled: readonly Reject[]): Promise<void> {
    const gone = new Set(settled);
    const left = (this.#waiting.get(dimension) ?? []).filter((reject) => !gone.has(reject));
    this.#waiting.set(dimension, left);
    const value = left.length === 0 ? undefined : formatRejects(left);
    await this.#state.putMeta(metaName(dimension), value);
  }
}

type SettleContext = LakeContext & {
  pipeline: string;
  table: TableHandle;
  dimension: string;
  topic: TopicDescription;
};

/** Appends those that the dead-letter table does not have yet; another process may be doing the same. */
async function settle(
  context: SettleContext,
  rejects: readonly Reject[],
  signal: AbortSignal,
): Promise<void> {
  const { table, catalog, clock, logger, status } = context;
  const owner = `${context.pipeline}.${context.dimension}`;
  for (;;) {
    const loaded = await retryUntilAvailable({
      what: `reading the position of ${owner} in ${table.identifier.name}`,
      attempt: () => catalog.loadTable(table.identifier),
      clock,
      logger,
      signal,
      status,
    });
    if (loaded !== undefined) table.metadata = loaded.metadata;
    const next = readCommitted(table.metadata, owner)?.next;
    const lacking = rejects.filter(
      ({ partition, offset }) => offset >= (next?.get(partition) ?? 0n),
    );
    if (lacking.length === 0) return;
    const commitId = clock.newId();
    const batch = deadLetterBatch(lacking, table.fieldIds, clock.nowMs());
    const files = await writeFiles(context, { table, batch, commitId, signal });
    const claim = claimOf(context, { owner, commitId, lacking });
    const outcome = await appendToTable(context, {
      table,
      commitId,
      files,
      decide: (metadata) => judgeAppend(metadata, claim, 'gaps-allowed'),
      signal,
    });
    if (outcome.kind !== 'dropped') return;
  }
}

function claimOf(
  { topic }: SettleContext,
  { owner, commitId, lacking }: { owner: string; commitId: string; lacking: readonly Reject[] },
) {
  const ranges = new Map<number, OffsetRange>();
  for (const { partition, offset } of lacking) {
    const range = ranges.get(partition) ?? { start: offset, end: offset + 1n };
    if (offset < range.start) range.start = offset;
    if (offset >= range.end) range.end = offset + 1n;
    ranges.set(partition, range);
  }
  const { clusterId, topicId } = topic;
  return {
    pipeline: owner,
    commitId,
    identity: { clusterId, topic: topic.topic, topicId },
    ranges,
    rows: lacking.length,
    rejects: new Map(),
    filtered: new Map(),
    dimensions: new Map(),
    pending: undefined,
    settled: new Set<string>(),
    forgottenCommitId: undefined,
  };
}

function placeOf({ partition, offset }: Reject): string {
  return `${partition}/${offset}`;
}

function metaName(dimension: string): string {
  return `rejects/${dimension}`;
}

type RejectJson = Omit<Reject, 'offset' | 'key' | 'value'> & {
  offset: string;
  key: string | null;
  value: string | null;
};

function formatRejects(rejects: readonly Reject[]): Uint8Array {
  const json = rejects.map(({ offset, key, value, ...rest }) => ({
    ...rest,
    offset: String(offset),
    key: key === undefined ? null : Buffer.from(key).toString('base64'),
    value: value === undefined ? null : Buffer.from(value).toString('base64'),
  }));
  return new TextEncoder().encode(JSON.stringify(json));
}

function parseRejects(bytes: Uint8Array | undefined): Reject[] {
  if (bytes === undefined) return [];
  const json = JSON.parse(new TextDecoder().decode(bytes)) as RejectJson[];
  return json.map(({ offset, key, value, schemaId, ...rest }) => ({
    ...rest,
    schemaId,
    offset: BigInt(offset),
    key: key === null ? undefined : new Uint8Array(Buffer.from(key, 'base64')),
    value: value === null ? undefined : new Uint8Array(Buffer.from(value, 'base64')),
  }));
}
