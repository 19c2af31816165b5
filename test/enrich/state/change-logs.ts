import fc from 'fast-check';
import type { Change } from '../../../connectors/change.ts';
import { incrementalRead } from '../../../connectors/source-position.ts';
import type { DimensionDefinition } from '../../../enrich/state/dimension-record.ts';
import type { PositionedChange } from '../../../enrich/state/fold-changes.ts';
import { TableModel, positioned } from './state-model.ts';

const columns = [
  { name: 'name', type: 'string' },
  { name: 'size', type: 'int' },
] as const;

export const users: DimensionDefinition = {
  name: 'users',
  primaryKey: 'id',
  joinKey: 'id',
  joinKeyType: 'long',
  normaliser: 'none',
  columns,
};
export const devices: DimensionDefinition = { ...users, name: 'devices', joinKeyType: 'string' };
export const folded: DimensionDefinition = { ...devices, name: 'folded', normaliser: 'lower-case' };
export const urls: DimensionDefinition = {
  ...users,
  name: 'urls',
  joinKey: 'url',
  joinKeyType: 'string',
  normaliser: 'url',
};

const primaryKeys = {
  users: [-2n, 0n, 1n, 2n, 300n],
  devices: ['a', 'b', 'aa', '', 'é'],
  folded: ['a', 'A', 'aB', 'Ab', 'b'],
  urls: [-2n, 0n, 1n, 2n, 300n],
};
const urlValues = ['http://a/', 'http://A/', 'http://a/#x', 'http://b/', null];
export const joinKeys = {
  users: [...primaryKeys.users, 7n],
  devices: [...primaryKeys.devices, 'z'],
  folded: ['a', 'b', 'ab', 'A'],
  urls: ['http://a/', 'http://b/', 'http://A/', ''],
};

type Step = {
  kind: 'upsert' | 'delete' | 'truncate' | 'tombstone' | 'read';
  key: number;
  url: number;
  name: string | null;
  size: number | null;
  unavailable: boolean;
  urlUnavailable: boolean;
};

const otherKinds = [
  { weight: 12, arbitrary: fc.constant('upsert' as const) },
  { weight: 4, arbitrary: fc.constantFrom('delete' as const, 'tombstone' as const) },
];

/**
 * A log with truncations, or one with rows that incremental snapshots read. No topic has both: a compacted one
 * takes no truncation, and only the order within one partition tells whether a read came before it.
 */
export function stepsValue(
  maxLength: number,
  ...kinds: ('read' | 'truncate')[]
): fc.Arbitrary<Step[]> {
  const logs = kinds.map((kind) => {
    const weighted = { weight: kind === 'read' ? 4 : 1, arbitrary: fc.constant(kind) };
    const step: fc.Arbitrary<Step> = fc.record({
      kind: fc.oneof(...otherKinds, weighted),
      key: fc.nat({ max: 4 }),
      url: fc.nat({ max: 4 }),
      name: fc.option(fc.constantFrom('Ann', 'Bob', '')),
      size: fc.option(fc.nat({ max: 3 })),
      unavailable: fc.boolean(),
      urlUnavailable: fc.boolean(),
    });
    return fc.array(step, { maxLength });
  });
  return fc.oneof(...logs);
}

/** The log that these steps leave, and the table after them. A delete is followed by its tombstone. */
export function logOf(definition: DimensionDefinition, steps: readonly Step[]) {
  const model = new TableModel(definition);
  const changes = steps.flatMap((step, index) => {
    const change = changeOf(definition, model, { step, sourcePosition: BigInt(index + 1) * 8n });
    model.take(change);
    return change.kind === 'delete' ? [change, tombstoneOf(change)] : [change];
  });
  return { model, log: positioned(changes) };
}

function tombstoneOf({ rowKey }: Extract<Change, { kind: 'delete' }>): Change {
  return { kind: 'tombstone', rowKey };
}

type Replay = { at: number; back: number };

export const replayValue: fc.Arbitrary<Replay> = fc.record({
  at: fc.nat({ max: 60 }),
  back: fc.nat({ max: 30 }),
});

/**
 * The log with stretches of it told a second time, as after a crash of the connector. Debezium tells only what
 * it streamed, and reads the rows of an unfinished incremental snapshot anew; a tombstone without a delete was
 * written once all before it was done for good: `fences` are what no stretch goes back over.
 */
export function withReplays(
  log: readonly PositionedChange[],
  replays: readonly Replay[],
  fences: { reads: boolean },
): PositionedChange[] {
  const isFence = (at: number): boolean => {
    const change = log[at]?.change;
    if (change?.kind === 'tombstone') return log[at - 1]?.change.kind !== 'delete';
    return fences.reads && isRead(change);
  };
  const told: Change[] = [];
  for (const [index, { change }] of log.entries()) {
    told.push(change);
    // A delete and its tombstone are written together.
    if (change.kind === 'delete') continue;
    for (const { back } of replays.filter(({ at }) => at === index)) {
      const end = index + 1;
      let start = end;
      while (start > 0 && end - start < back && !isFence(start - 1)) start--;
      if (log[start]?.change.kind === 'tombstone') start++;
      const stretch = log.slice(start, end).map((entry) => entry.change);
      told.push(...stretch.filter((again) => !isRead(again)));
    }
  }
  return positioned(told);
}

function isRead(change: Change | undefined): boolean {
  return change?.kind === 'upsert' && change.sourcePosition === incrementalRead;
}

function changeOf(
  definition: DimensionDefinition,
  model: TableModel,
  { step, sourcePosition }: { step: Step; sourcePosition: bigint },
): Change {
  const key = primaryKeys[definition.name as keyof typeof primaryKeys][step.key];
  const rowKey = { id: key };
  if (step.kind === 'truncate') return { kind: 'truncate', sourcePosition };
  if (step.kind === 'tombstone') return { kind: 'tombstone', rowKey };
  if (step.kind === 'delete') return { kind: 'delete', sourcePosition, rowKey };
  if (step.kind === 'read') {
    const after = { id: key, url: urlValues[step.url], name: step.name, size: step.size };
    const read = { sourcePosition: incrementalRead, initialSnapshot: true, unavailable: [] };
    return { kind: 'upsert', ...read, rowKey, after };
  }
  // Only a row that is there can have unchanged values.
  const live = model.isLive(key);
  const unavailable = [
    ...(live && step.unavailable ? ['name'] : []),
    ...(live && step.urlUnavailable && definition.name === 'urls' ? ['url'] : []),
  ];
  const after = { id: key, url: urlValues[step.url], name: step.name, size: step.size };
  for (const name of unavailable) delete after[name as 'name' | 'url'];
  return { kind: 'upsert', sourcePosition, initialSnapshot: false, rowKey, after, unavailable };
}

const rowOf = ({ change }: PositionedChange): string =>
  'rowKey' in change ? String(change.rowKey['id']) : '';

/** Of the records below the offset, the last of each row is left. */
export function compacted(log: readonly PositionedChange[], cleanedTo: number): PositionedChange[] {
  const last = new Map<string, bigint>();
  for (const entry of log.slice(0, cleanedTo)) last.set(rowOf(entry), entry.offset);
  return log.filter(
    (entry) => entry.offset >= cleanedTo || last.get(rowOf(entry)) === entry.offset,
  );
}

export type PartitionedChange = PositionedChange & { partition: number };

/**
 * The log dealt out to partitions, in each of which it keeps its order; at each of the `moves` the keys change
 * theirs, as where partitions are added. A tombstone is written under the form of the key that has its row.
 */
export function inPartitions(
  log: readonly PositionedChange[],
  moves: readonly number[],
): PartitionedChange[] {
  const places = new Map<string, number>();
  const ends = new Map<number, number>();
  const ids = [...new Set(log.map(rowOf))].toSorted();
  return log.map((entry, index) => {
    const { change } = entry;
    const row = rowOf(entry);
    const epoch = moves.filter((at) => at <= index).length;
    const now = (ids.indexOf(row) * epoch) % (epoch + 1);
    const partition = change.kind === 'tombstone' ? (places.get(row) ?? now) : now;
    places.set(row, partition);
    const offset = ends.get(partition) ?? 0;
    ends.set(partition, offset + 1);
    return { partition, offset: BigInt(offset), timestampMs: index, change };
  });
}

/** Any interleaving of the partitions. */
export function interleaved(
  log: readonly PartitionedChange[],
  order: readonly number[],
): PartitionedChange[] {
  const queues = [...Map.groupBy(log, ({ partition }) => partition).values()];
  return log.flatMap((_, turn) => {
    const waiting = queues.filter((queue) => queue.length > 0);
    return waiting[(order[turn] ?? 0) % waiting.length]?.shift() ?? [];
  });
}
