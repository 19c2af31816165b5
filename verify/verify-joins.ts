import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { decimalShape } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import { openDimensionHistory, type DimensionHistory } from './dimension-history.ts';
import {
  canonicalDecimal,
  openEnvelopeDecoder,
  type Canonical,
  type FetchAvroSchema,
  type NamedField,
  type ReplayedChange,
} from './envelope.ts';
import { VerifyError } from './error.ts';
import { recordedCommits, recordedPipelines, type RecordedCommit } from './recorded.ts';
import { openFindings, type Findings, type Report } from './report.ts';
import { currentSchema } from './scan-rows.ts';
import { bigintAt, numberAt, type Cell, type ReadRows, type RowBlock } from './table-rows.ts';
import { normaliserOf, uuidDigits } from './normal-form.ts';
import type { ReadTopic, TopicRecord } from './topic-reader.ts';

/** A dimension as pipeline.yaml describes it. */
type VerifiedDimension = {
  name: string;
  topic: string;
  primaryKey: string;
  joinKey: string;
  streamField: string;
  normaliser: string;
  columns: readonly string[];
  prefix: string;
  /** Of its contract. */
  fields: readonly NamedField[];
};

export type VerifyJoinsOptions = {
  events: TableMetadata;
  /** Undefined where no dead-letter table exists. */
  deadLetter: TableMetadata | undefined;
  pipeline: string;
  dimensions: readonly VerifiedDimension[];
  readRows: ReadRows;
  readTopic: ReadTopic;
  fetchAvroSchema: FetchAvroSchema;
  log: (line: string) => void;
};

type ReplayedDimension = VerifiedDimension & {
  history: DimensionHistory;
  normalise: (text: string) => string;
  /** Digits after the point of the columns that are decimals in the table. */
  scales: readonly (number | undefined)[];
  /** By commit, its columns that the table did not have yet, by their places: rows of then are null in them. */
  lacking: readonly ReadonlySet<number>[];
  /** Its position at each commit; none where that saw another topic under the name, or no such dimension. */
  positions: readonly (ReadonlyMap<number, bigint> | undefined)[];
  /** Commits before whose position compaction may have removed what a join saw. */
  uncertain: ReadonlySet<number>;
  /** Records of the topic that are no changes. */
  undecodable: number;
  /** Join keys of rows of which a change stands among the dead letters. */
  refusedKeys: ReadonlySet<string>;
};

/**
 * Joins every row a second time, by another way (INVARIANTS.md 7): replays the change topics up to the dimension
 * positions that each commit recorded, and compares match status and every carried column. Rows whose
 * commit has expired, or has seen another topic of the dimension than the newest one, cannot be compared, and rows
 * that differ where compaction may have removed the change they saw are counted apart. So are those of which a change
 * was refused: it has no part in the replay, but a state that was built again since may have taken it. Memory: all versions of all dimension rows.
 * Errors: `config`, `corrupt`, `unavailable`, those of the readers.
 */
export async function verifyJoins(options: VerifyJoinsOptions): Promise<Report> {
  const commits = recordedCommits(options.events, options.pipeline);
  if (commits.length === 0) {
    throw new VerifyError('config', `no snapshot of pipeline "${options.pipeline}" is left`);
  }
  const refused = await refusedChanges(options);
  const dimensions: ReplayedDimension[] = [];
  for (const dimension of options.dimensions) {
    dimensions.push(await replayDimension({ ...options, refused }, dimension, commits));
  }
  const findings = openFindings();
  const isAlone = recordedPipelines(options.events).length === 1;
  const own = new Set(commits.map(({ snapshotId }) => snapshotId));
  const seen = {
    compared: 0,
    others: 0,
    expired: 0,
    hits: 0,
    repaired: 0,
    uncertain: 0,
    refused: 0,
    elsewhere: 0,
  };
  const commitOf = openCommitLookup(commits);
  for await (const block of options.readRows(options.events, columnsOf(dimensions))) {
    // The same offsets may be another pipeline's: only a row of a commit of ours is surely ours.
    if (!isAlone && !(block.snapshotId !== undefined && own.has(block.snapshotId))) {
      seen.others += block.rowCount;
      continue;
    }
    checkBlock(block, { dimensions, commitOf, findings, seen });
    options.log(`${seen.compared} rows joined again`);
  }
  const rows = dimensions.map(({ name, history }) => [`rows of ${name}`, history.rowCount]);
  return {
    title: 'every join gives what an independent replay gives',
    facts: {
      'rows compared': seen.compared,
      'rows of expired commits': seen.expired,
      'joins compared': seen.compared * dimensions.length - seen.elsewhere,
      hits: seen.hits,
      repaired: seen.repaired,
      'not decidable after compaction': seen.uncertain,
      commits: commits.length,
      ...(Object.fromEntries(rows) as Record<string, number>),
    },
    findings: findings.list(),
    notes: notesOf(seen, dimensions),
  };
}

function notesOf(
  seen: Checking['seen'] & { others: number },
  dimensions: readonly ReplayedDimension[],
): string[] {
  return [
    ...(seen.others > 0
      ? [`${seen.others} rows are, or may be, of another pipeline in this table: not compared`]
      : []),
    ...(seen.expired > 0 ? [`the commits of ${seen.expired} rows have expired: not compared`] : []),
    ...(seen.elsewhere > 0
      ? [
          `${seen.elsewhere} joins saw a topic before it was recreated, or came before their dimension: not compared`,
        ]
      : []),
    ...(seen.uncertain > 0
      ? [`${seen.uncertain} differences where compaction may have removed what the join saw`]
      : []),
    ...(seen.refused > 0
      ? [`${seen.refused} differences of rows of which a change stands among the dead letters`]
      : []),
    ...dimensions
      .filter(({ undecodable }) => undecodable > 0)
      .map(
        ({ topic, undecodable }) =>
          `${undecodable} records of ${topic} are no changes: passed over`,
      ),
  ];
}

function columnsOf(dimensions: readonly ReplayedDimension[]): string[] {
  const names = new Set(['_kafka_partition', '_kafka_offset']);
  for (const { name, streamField, prefix, columns } of dimensions) {
    names.add(streamField).add(`_${name}_match`);
    for (const column of columns) names.add(prefix + column);
  }
  return [...names];
}

const placeOf = (topic: unknown, partition: unknown, offset: unknown): string =>
  `${String(topic)} ${String(partition)} ${String(offset)}`;

/** Places of the records that the dead-letter table holds of the dimensions' topics. */
async function refusedChanges({
  deadLetter,
  dimensions,
  readRows,
}: VerifyJoinsOptions): Promise<ReadonlySet<string>> {
  const places = new Set<string>();
  if (deadLetter === undefined) return places;
  const topics = new Set(dimensions.map(({ topic }) => topic));
  const names = ['_kafka_topic', '_kafka_partition', '_kafka_offset'] as const;
  for await (const block of readRows(deadLetter, names)) {
    const [topic, partition, offset] = names.map((name) => block.column(name));
    for (let row = 0; row < block.rowCount; row += 1) {
      if (!topics.has(String(topic?.[row]))) continue;
      places.add(placeOf(topic?.[row], partition?.[row], offset?.[row]));
    }
  }
  return places;
}

async function replayDimension(
  options: VerifyJoinsOptions & { refused: ReadonlySet<string> },
  dimension: VerifiedDimension,
  commits: readonly RecordedCommit[],
): Promise<ReplayedDimension> {
  const { name, topic, columns, primaryKey, joinKey } = dimension;
  const recorded = commits.map((commit) => commit.dimensions.get(name));
  const topicId = recorded.findLast((at) => at !== undefined)?.topicId;
  const positions = recorded.map((at) => (at?.topicId === topicId ? at?.next : undefined));
  const uuids = uuidColumns(options.events);
  // A uuid is found however it is spelled.
  const normalise = uuids.has(dimension.streamField)
    ? uuidDigits
    : normaliserOf(dimension.normaliser);
  const uuidCells = columns.filter((column) => uuids.has(dimension.prefix + column));
  const history = openDimensionHistory({ joinKey, columns, normalise });
  // What the pipeline reads: a record that is no text elsewhere is a change all the same.
  const read = [primaryKey, joinKey, ...columns];
  const decoder = openEnvelopeDecoder(options.fetchAvroSchema, read, dimension.fields);
  const expectedNext = new Map<number, bigint>();
  const known = new Set<string>();
  const pasts = new Map<number, bigint>();
  const refusedKeys = new Set<string>();
  let undecodable = 0;
  const onRecord = async (record: TopicRecord): Promise<void> => {
    const { partition, offset, timestampMs, key, value } = record;
    const hasHoles = offset !== (expectedNext.get(partition) ?? 0n);
    // Once a hole was seen in a partition, everything behind it lies after a compaction.
    expectedNext.set(partition, hasHoles ? -1n : offset + 1n);
    const change = await decodeOrSkip(() => decoder.decode(key, value));
    if (change === 'undecodable') undecodable++;
    if (change === 'undecodable') return;
    if (options.refused.has(placeOf(topic, partition, offset))) {
      for (const own of history.joinKeysOf(change)) refusedKeys.add(own);
      return;
    }
    history.take(withUuids(change, uuidCells), { partition, offset, timestampMs });
    // The first change that is left of a row, and not its first ever: that one stood in the hole.
    if (hasHoles && !change.startsRow && !known.has(change.rowKey)) pasts.set(partition, offset);
    known.add(change.rowKey);
  };
  await options.readTopic(topic, highest(positions), onRecord);
  options.log(`${topic}: ${history.rowCount} rows replayed`);
  const uncertain = new Set(
    positions.flatMap((next, commit) => {
      const sawAll = [...pasts].every(
        ([partition, offset]) => offset < (next?.get(partition) ?? 0n),
      );
      return sawAll ? [] : [commit];
    }),
  );
  const scales = scalesOf(options.events, dimension);
  const lacking = lackingColumns(options.events, dimension, commits);
  return {
    ...dimension,
    history,
    normalise,
    scales,
    lacking,
    positions,
    uncertain,
    undecodable,
    refusedKeys,
  };
}

/** Columns of the table that hold uuids, which are read as their bytes. */
function uuidColumns(events: TableMetadata): ReadonlySet<string> {
  const { fields } = currentSchema(events);
  return new Set(fields.filter(({ type }) => type === 'uuid').map(({ name }) => name));
}

function scalesOf(
  events: TableMetadata,
  { columns, prefix }: VerifiedDimension,
): ReplayedDimension['scales'] {
  const types = new Map(currentSchema(events).fields.map(({ name, type }) => [name, type]));
  return columns.map((column) => {
    const type = types.get(prefix + column);
    return typeof type === 'string' ? decimalShape(type)?.scale : undefined;
  });
}

/** A column that was dropped and has come again is another one, with another id. */
function lackingColumns(
  events: TableMetadata,
  { columns, prefix }: VerifiedDimension,
  commits: readonly RecordedCommit[],
): ReplayedDimension['lacking'] {
  const ids = new Map(currentSchema(events).fields.map(({ name, id }) => [name, id]));
  const bySchema = new Map(
    events.schemas.map(({ schemaId, fields }) => {
      const had = new Set(fields.map(({ id }) => id));
      const lacking = columns.flatMap((column, at) => {
        const id = ids.get(prefix + column);
        return id === undefined || had.has(id) ? [] : [at];
      });
      return [schemaId, new Set(lacking)] as const;
    }),
  );
  const none: ReadonlySet<number> = new Set();
  return commits.map(({ schemaId }) => bySchema.get(schemaId ?? NaN) ?? none);
}

function withUuids(change: ReplayedChange, columns: readonly string[]): ReplayedChange {
  if (change.row === null || columns.length === 0) return change;
  const row = new Map(change.row);
  for (const column of columns) {
    const text = row.get(column) ?? null;
    row.set(column, text === null ? null : uuidDigits(text));
  }
  return { ...change, row };
}

/** A record that is no change joins nothing: the pipeline sends it to the dead-letter table. */
async function decodeOrSkip<T>(decode: () => Promise<T>): Promise<T | 'undecodable'> {
  try {
    return await decode();
  } catch (error) {
    if (error instanceof VerifyError && error.kind === 'corrupt') return 'undecodable';
    throw error;
  }
}

/** Of each partition the highest next offset: the last commit may be of a process that is behind others. */
function highest(positions: ReplayedDimension['positions']): Map<number, bigint> {
  const all = new Map<number, bigint>();
  for (const [partition, offset] of positions.flatMap((next) => [...(next ?? [])])) {
    if (offset > (all.get(partition) ?? -1n)) all.set(partition, offset);
  }
  return all;
}

/** The index of the commit that took an offset; undefined when it has expired. */
export function openCommitLookup(
  commits: readonly RecordedCommit[],
): (partition: number, offset: bigint) => number | undefined {
  const byPartition = new Map<number, { start: bigint; end: bigint; commit: number }[]>();
  for (const [commit, { ranges }] of commits.entries()) {
    for (const [partition, range] of ranges) {
      const list = byPartition.get(partition) ?? [];
      byPartition.set(partition, list);
      list.push({ ...range, commit });
    }
  }
  return (partition, offset) => {
    const ranges = byPartition.get(partition) ?? [];
    let [low, high] = [0, ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.end ?? 0n) > offset) high = middle;
      else low = middle + 1;
    }
    const range = ranges[low];
    return range !== undefined && range.start <= offset ? range.commit : undefined;
  };
}

type Checking = {
  dimensions: readonly ReplayedDimension[];
  commitOf: (partition: number, offset: bigint) => number | undefined;
  findings: Findings;
  seen: Record<
    'compared' | 'expired' | 'hits' | 'repaired' | 'uncertain' | 'refused' | 'elsewhere',
    number
  >;
};

function checkBlock(block: RowBlock, { dimensions, commitOf, findings, seen }: Checking): void {
  const [partitions, offsets] = [block.column('_kafka_partition'), block.column('_kafka_offset')];
  const cells = dimensions.map((dimension) => ({
    dimension,
    key: block.column(dimension.streamField),
    status: block.column(`_${dimension.name}_match`),
    columns: dimension.columns.map((column) => block.column(dimension.prefix + column)),
  }));
  for (let row = 0; row < block.rowCount; row += 1) {
    const [partition, offset] = [numberAt(partitions, row), bigintAt(offsets, row)];
    const commit = commitOf(partition, offset);
    if (commit === undefined) {
      seen.expired += 1;
      continue;
    }
    seen.compared += 1;
    for (const { dimension, key, status, columns } of cells) {
      if (dimension.positions[commit] === undefined) {
        seen.elsewhere += 1;
        continue;
      }
      const text = canonicalCell(key[row] ?? null);
      const joinKey = text === null ? null : dimension.normalise(text);
      const found = {
        status: String(status[row]),
        values: columns.map((column, at) =>
          canonicalCell(column[row] ?? null, dimension.scales[at]),
        ),
      };
      const difference = compareJoin(dimension, { joinKey, commit }, found);
      if (found.status === 'hit') seen.hits += 1;
      if (found.status === 'repaired') seen.repaired += 1;
      if (difference === undefined) continue;
      if (dimension.uncertain.has(commit)) seen.uncertain += 1;
      else if (joinKey !== null && dimension.refusedKeys.has(joinKey)) seen.refused += 1;
      else {
        const at = `partition ${partition}, offset ${offset}, key ${joinKey}`;
        findings.add('wrong joins', () => `${dimension.name}, ${at}: ${difference}`);
      }
    }
  }
}

/** In words what differs from the replay; undefined when nothing does. */
function compareJoin(
  { history, columns, positions, lacking }: ReplayedDimension,
  at: { joinKey: string | null; commit: number },
  found: { status: string; values: readonly Canonical[] },
): string | undefined {
  const { joinKey } = at;
  const answerAt = (commit: number) => {
    const next = positions[commit];
    return joinKey === null || next === undefined ? undefined : history.at(joinKey, next);
  };
  const expected = answerAt(at.commit);
  switch (found.status) {
    case 'hit':
      if (expected === undefined) return 'a hit, but no row was there at this commit';
      return differenceOf(
        columns,
        expected.map((value, column) => (lacking[at.commit]?.has(column) === true ? null : value)),
        found.values,
      );
    case 'miss':
      if (expected !== undefined) return 'a miss, but a row was there at this commit';
      return differenceOf(columns, [], found.values);
    case 'repaired': {
      if (expected !== undefined || joinKey === null) return 'repaired, but it was no miss';
      const isOneOf = positions.some((_, commit) => {
        const row = commit > at.commit ? answerAt(commit) : undefined;
        return row !== undefined && differenceOf(columns, row, found.values) === undefined;
      });
      return isOneOf ? undefined : 'repaired with values that no later row has';
    }
    default:
      return `unknown match status "${found.status}"`;
  }
}

function differenceOf(
  columns: readonly string[],
  expected: readonly Canonical[],
  found: readonly Canonical[],
): string | undefined {
  const i = columns.findIndex((_, at) => (expected[at] ?? null) !== (found[at] ?? null));
  return i === -1 ? undefined : `${columns[i]} is ${found[i]}, the replay gives ${expected[i]}`;
}

/** The form of `envelope.ts` for a value of the table: dates are days, timestamps µs. */
function canonicalCell(cell: Cell, scale?: number): Canonical {
  if (cell === null) return null;
  if (typeof cell === 'bigint' && scale !== undefined) return canonicalDecimal(cell, scale);
  return cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : String(cell);
}
