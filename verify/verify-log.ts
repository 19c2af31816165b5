import { openOffsetSet, type OffsetSet } from './offset-set.ts';
import type { Account } from './offset-account.ts';
import type { OffsetsByPartition } from './recorded.ts';
import { openFindings, type Findings, type Report } from './report.ts';
import type { ReadTopic } from './topic-reader.ts';

/** First retained offset, and the end of what a read-committed reader may see. */
type Bounds = { startOffset: bigint; endOffset: bigint };

/** What is asked of Kafka. */
type LogLook = {
  describeTopic: (topic: string) => Promise<{ topicId: string; clusterId: string } | undefined>;
  bounds: (topic: string) => Promise<ReadonlyMap<number, Bounds>>;
};

export type VerifyLogOptions = {
  account: Account;
  dimensions: readonly { name: string; topic: string }[];
  log: LogLook;
  /** Reads the whole stream topic again; left out, only positions are compared. */
  readTopic?: ReadTopic;
  onProgress?: (progress: { records: number }) => void;
};

/**
 * Checks the table's position against the log: it counts in this cluster and topic (INVARIANTS.md 9), and lies
 * within what the log has. The same for the dimension positions of the newest commit. With `readTopic` each
 * record that the log still has must be a row or a reject, and each row or reject a record: what was counted
 * as filtered is no record that a reader may see. Memory: a third bit for each offset.
 * Errors: those of the log; `unavailable`.
 */
export async function verifyLog(options: VerifyLogOptions): Promise<Report> {
  const { account, log } = options;
  const { state } = account;
  const { topic } = state.log;
  const findings = openFindings();
  const notes: string[] = [];
  const facts: Record<string, number> = {};
  if (await isSameTopic(log, state.log, findings)) {
    const bounds = await log.bounds(topic);
    const { lag, kept } = checkPosition({ topic, next: state.next, bounds }, findings);
    facts['records behind the position'] = lag;
    facts['committed offsets that the log still has'] = kept;
    const canRead = findings.list().length === 0;
    if (options.readTopic !== undefined && canRead) {
      facts['records compared'] = await compareRecords(options, options.readTopic, findings);
    } else notes.push('records were not compared one by one: --log reads them');
  }
  facts['dimension topics'] = await checkDimensions(options, findings);
  return {
    title: "the table's position lies in the log that it counts in",
    facts,
    findings: findings.list(),
    notes,
  };
}

async function isSameTopic(
  log: LogLook,
  recorded: { clusterId: string; topic: string; topicId: string },
  findings: Findings,
): Promise<boolean> {
  const { topic, topicId, clusterId } = recorded;
  const found = await log.describeTopic(topic);
  if (found === undefined) {
    findings.add('topics that are missing', () => topic);
    return false;
  }
  if (found.clusterId !== clusterId) {
    const example = (): string => `this is ${found.clusterId}, the position counts in ${clusterId}`;
    findings.add('another Kafka cluster', example);
    return false;
  }
  if (found.topicId !== topicId) {
    const example = (): string => `${topic} has id ${found.topicId}, recorded was ${topicId}`;
    findings.add('topics that were recreated', example);
    return false;
  }
  return true;
}

function checkPosition(
  at: { topic: string; next: OffsetsByPartition; bounds: ReadonlyMap<number, Bounds> },
  findings: Findings,
): { lag: number; kept: number } {
  const { topic, next, bounds } = at;
  let [lag, kept] = [0, 0];
  for (const [partition, offset] of next) {
    const { startOffset, endOffset } = bounds.get(partition) ?? { startOffset: 0n, endOffset: 0n };
    const example = (): string =>
      `${topic}-${partition}: the position is ${offset}, the log has ${startOffset} to ${endOffset}`;
    if (offset > endOffset) findings.add('positions beyond the end of the log', example);
    if (offset < startOffset) {
      findings.add('positions below the start of the log', example, Number(startOffset - offset));
    } else kept += Number(offset - startOffset);
  }
  for (const [partition, { startOffset, endOffset }] of bounds) {
    const behind = endOffset - (next.get(partition) ?? startOffset);
    if (behind > 0n) lag += Number(behind);
  }
  return { lag, kept };
}

/** Older commits may have seen a topic that was recreated since, on purpose; the newest one must count in this. */
async function checkDimensions(
  { account, dimensions, log }: VerifyLogOptions,
  findings: Findings,
): Promise<number> {
  const newest = account.commits.at(-1);
  let checked = 0;
  for (const { name, topic } of dimensions) {
    const recorded = newest?.dimensions.get(name);
    if (recorded === undefined) continue;
    const found = await log.describeTopic(topic);
    if (found?.topicId !== recorded.topicId) {
      const state = found === undefined ? 'is not there' : `has id ${found.topicId}`;
      findings.add(
        'change topics that were recreated',
        () => `${topic} ${state}, recorded was ${recorded.topicId}`,
      );
      continue;
    }
    checked += 1;
    const bounds = await log.bounds(topic);
    for (const [partition, offset] of recorded.next) {
      const end = bounds.get(partition)?.endOffset ?? 0n;
      if (offset <= end) continue;
      const example = (): string => `${topic}-${partition}: ${offset}, the log ends at ${end}`;
      findings.add('dimension positions beyond the end of the log', example);
    }
  }
  return checked;
}

/** Tells how many records were read. */
async function compareRecords(
  { account, log, onProgress }: VerifyLogOptions,
  readTopic: ReadTopic,
  findings: Findings,
): Promise<number> {
  const { topic } = account.state.log;
  const visible = new Map<number, OffsetSet>();
  for (const [partition, { range }] of account.partitions) {
    visible.set(partition, openOffsetSet(range));
  }
  let records = 0;
  await readTopic(topic, account.state.next, ({ partition, offset }) => {
    visible.get(partition)?.add(Number(offset));
    records += 1;
    onProgress?.({ records });
  });
  // Retention goes on while we read: what it may have taken meanwhile is not judged.
  const bounds = await log.bounds(topic);
  for (const [partition, { range, rows, rejects }] of account.partitions) {
    const start = bounds.get(partition)?.startOffset ?? range.end;
    const first = Number(start > range.start ? start : range.start);
    for (let offset = first; offset < Number(range.end); offset += 1) {
      const isRecord = visible.get(partition)?.has(offset) === true;
      const isAccounted = rows.has(offset) || rejects.has(offset);
      if (isRecord === isAccounted) continue;
      const kind = isRecord
        ? 'records that are neither row nor reject'
        : 'rows and rejects without a record';
      findings.add(kind, () => `partition ${partition}, offset ${offset}`);
    }
  }
  return records;
}
