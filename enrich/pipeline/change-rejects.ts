import { judgeAppend } from '../core/acceptance.ts';
import { deadLetterBatch } from '../core/dead-letters.ts';
import type { Reject } from '../core/dead-letters.ts';
import { readCommitted } from '../core/position.ts';
import type { OffsetRange } from '../core/position.ts';
import type { TopicDescription } from '../source/log.ts';
import type { DimensionState, MetaWrite } from '../state/dimension-state.ts';
import { appendToTable, writeFiles } from './append-to-table.ts';
import type { LakeContext } from './append-to-table.ts';
import { deadLetterOwner } from './forgotten-commits.ts';
import { retryUntilAvailable } from './retry.ts';
import { reloadTable } from './tables.ts';
import type { FixedTableHandle } from './tables.ts';

const SETTLE_EVERY_MS = 5_000;
/** While more rejects than this, or more bytes, wait for the dead-letter table, no changes are taken. */
const WAITING_MAX = 10_000;
const WAITING_BYTES_MAX = 32 * 1024 ** 2;

/**
 * Records of change topics that are no change, on their way to the dead-letter table. What waits is what
 * the state holds: an entry for each, stored in the batch that moves the topic's position, so a crash
 * loses none; the dead-letter table holds its own position for each change topic, so neither a crash nor
 * a second process doubles any.
 */
export class ChangeRejects {
  readonly #state: DimensionState;
  readonly #dimensions: readonly string[];

  constructor(state: DimensionState, dimensions: readonly string[]) {
    this.#state = state;
    this.#dimensions = dimensions;
  }

  /** How many wait, and their bytes in the state. */
  waiting(): { count: number; bytes: number; isFull: boolean } {
    const entries = this.#dimensions.flatMap((name) => this.#state.listMeta(prefixOf(name)));
    const count = entries.length;
    const bytes = entries.reduce((sum, { value }) => sum + value.length, 0);
    return { count, bytes, isFull: count >= WAITING_MAX || bytes >= WAITING_BYTES_MAX };
  }

  /** The entries that must enter the store in the batch that moves the position past these rejects. */
  entriesOf(dimension: string, rejects: readonly Reject[]): MetaWrite[] {
    return rejects.map((reject) => ({
      name: `${prefixOf(dimension)}${reject.partition}/${reject.offset}`,
      value: formatReject(reject),
    }));
  }

  /** Appends what waits to the dead-letter table, until the signal. */
  async run(
    context: LakeContext & {
      pipeline: string;
      table: FixedTableHandle;
      topics: ReadonlyMap<string, TopicDescription>;
    },
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      for (const [dimension, topic] of context.topics) {
        const entries = this.#state.listMeta(prefixOf(dimension));
        if (entries.length === 0) continue;
        const rejects = entries.map(({ value }) => parseReject(value));
        await settle({ ...context, dimension, topic }, rejects, signal);
        await retryUntilAvailable({
          ...context,
          what: `removing settled rejects of ${dimension} from the state`,
          attempt: () => this.#state.removeMeta(entries.map(({ name }) => name)),
          signal,
        });
      }
      await context.clock.sleep(SETTLE_EVERY_MS, signal);
    }
  }
}

type SettleContext = LakeContext & {
  pipeline: string;
  table: FixedTableHandle;
  dimension: string;
  topic: TopicDescription;
};

/** Appends those that the dead-letter table does not have yet; another process may be doing the same. */
async function settle(
  context: SettleContext,
  rejects: readonly Reject[],
  signal: AbortSignal,
): Promise<void> {
  const { table, catalog, clock, forgotten } = context;
  const owner = deadLetterOwner({ ...context, topicId: context.topic.topicId });
  for (;;) {
    await retryUntilAvailable({
      ...context,
      what: `reading the position of ${owner} in ${table.identifier.name}`,
      attempt: () => reloadTable(catalog, table),
      signal,
    });
    const next = readCommitted(table.metadata, owner, forgotten.get(owner))?.next;
    const lacking = rejects.filter(
      ({ partition, offset }) => offset >= (next?.get(partition) ?? 0n),
    );
    if (lacking.length === 0) return;
    const commitId = clock.newId();
    const batch = deadLetterBatch({
      rejects: lacking,
      topicId: context.topic.topicId,
      fieldIds: table.fieldIds,
      ingestedAtMs: clock.nowMs(),
    });
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
  { topic, forgotten }: SettleContext,
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
    forgottenCommitId: forgotten.get(owner),
  };
}

function prefixOf(dimension: string): string {
  return `rejects/${dimension}/`;
}

type RejectJson = Omit<Reject, 'offset' | 'key' | 'value'> & {
  offset: string;
  key: string | null;
  value: string | null;
};

function formatReject({ offset, key, value, ...rest }: Reject): Uint8Array {
  const json: RejectJson = {
    ...rest,
    offset: String(offset),
    key: key === undefined ? null : Buffer.from(key).toString('base64'),
    value: value === undefined ? null : Buffer.from(value).toString('base64'),
  };
  return new TextEncoder().encode(JSON.stringify(json));
}

function parseReject(bytes: Uint8Array): Reject {
  const json = JSON.parse(new TextDecoder().decode(bytes)) as RejectJson;
  const { offset, key, value, schemaId, ...rest } = json;
  return {
    ...rest,
    schemaId,
    offset: BigInt(offset),
    key: key === null ? undefined : new Uint8Array(Buffer.from(key, 'base64')),
    value: value === null ? undefined : new Uint8Array(Buffer.from(value, 'base64')),
  };
}
