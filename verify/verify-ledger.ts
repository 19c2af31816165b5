import {
  openLedgerIndex,
  type ExpectedRecord,
  type LedgerIndex,
  type ProducedBatch,
} from './ledger-index.ts';
import { recordedState, snapshotsOfOthers } from './recorded.ts';
import { openFindings, type Findings, type Report } from './report.ts';
import { rejectBlocks, type TableSource } from './reject-rows.ts';
import { bigintAt, numberAt, type Cell, type RowBlock } from './table-rows.ts';

export type VerifyLedgerOptions = TableSource & {
  ledger: AsyncIterable<ProducedBatch>;
  pipeline: string;
};

const ROW_COLUMNS = [
  '_kafka_partition',
  '_kafka_offset',
  'event_time',
  'user_id',
  'url',
  'device_id',
  'session_id',
];
const REJECT_COLUMNS = ['_kafka_topic', '_kafka_partition', '_kafka_offset', 'error_kind'];

/**
 * Checks the table against what a generator wrote down: every good click below the position is one row
 * with the same raw values, every corrupt record one reject of the right kind; one that breaks the contract alone may
 * also be a row of its values, taken since the contract allows it. A reject that was replayed
 * stands at a new offset, which no ledger knows: it is found again by its values, and there once; so a good
 * click may be a reject of any kind if it was replayed. A send of unknown outcome may be there or not; records
 * at or above the position are counted, not judged.
 * Memory: the ledger's records in typed arrays. Errors: `config`, `corrupt`, those of the readers.
 */
export async function verifyLedger(options: VerifyLedgerOptions): Promise<Report> {
  const state = recordedState(options.events, options.pipeline);
  const index = openLedgerIndex();
  const unknown = openUnknownSends();
  let produced = 0;
  for await (const batch of options.ledger) {
    if (batch.topic !== state.log.topic) continue;
    produced += batch.count;
    if (batch.baseOffset === undefined) unknown.add(batch);
    else index.add(batch, batch.baseOffset);
  }
  const findings = openFindings();
  const seen = { rows: 0, mended: 0, rejects: 0, replayed: 0, resolved: 0, others: 0, lacking: 0 };
  const replays = openReplays();
  const matching = { index, unknown, replays, findings, seen };
  const others = snapshotsOfOthers(options.events, options.pipeline);
  const { deadLetter } = options;
  const owner = `${options.pipeline}.${state.log.topicId}`;
  const othersRejects = deadLetter === undefined ? others : snapshotsOfOthers(deadLetter, owner);
  for await (const block of rejectBlocks(options, state, REJECT_COLUMNS)) {
    if (isAmong(othersRejects, block)) continue;
    takeRejectBlock(block, state.log.topic, matching);
  }
  // After the rejects: a row may be one of them, replayed.
  for await (const block of options.readRows(options.events, ROW_COLUMNS)) {
    if (isAmong(others, block)) continue;
    takeRowBlock(block, matching);
  }
  for (const wrong of replays.wrongRejects()) findings.add('wrong rejects', () => wrong);
  let waiting = 0;
  for (const { partition, offset, kind, committed } of index.untaken(state.next)) {
    if (committed) {
      const what = kind === 'good' ? 'missing clicks' : 'missing rejects';
      findings.add(what, () => `partition ${partition}, offset ${offset}, ${kind}`);
    } else waiting += 1;
  }
  return {
    title: 'every produced click is a row with its values, every corrupt record a reject',
    facts: {
      produced,
      'found as rows': seen.rows,
      'found as rejects': seen.rejects,
      'of these replayed': seen.replayed,
      'not committed yet': waiting,
      'sends of unknown outcome': unknown.count(),
      'of these in the table': seen.resolved,
      'records of other producers': seen.others,
    },
    findings: findings.list(),
    notes: notesOf({ ...seen, waiting }),
  };
}

function notesOf(counts: { waiting: number; lacking: number; mended: number }): string[] {
  const { waiting, lacking, mended } = counts;
  return [
    ...(mended > 0
      ? [
          `${mended} records that were made to break the contract are rows: it allows them by now, and their values ` +
            'are compared as those of any row',
        ]
      : []),
    ...(waiting > 0 ? [`${waiting} produced records lie at or above the position`] : []),
    ...(lacking > 0
      ? [
          `${lacking} rows of other producers have a null that the generator never writes: corrupt records that ` +
            'were replayed once the contract allowed it are such, and are compared with nothing',
        ]
      : []),
  ];
}

function isAmong(snapshots: ReadonlySet<bigint>, { snapshotId }: RowBlock): boolean {
  return snapshotId !== undefined && snapshots.has(snapshotId);
}

type Matching = {
  index: LedgerIndex;
  unknown: UnknownSends;
  replays: Replays;
  findings: Findings;
  seen: Record<
    'rows' | 'mended' | 'rejects' | 'replayed' | 'resolved' | 'others' | 'lacking',
    number
  >;
};

function takeRowBlock(block: RowBlock, matching: Matching): void {
  const { index, findings, seen } = matching;
  const [partitions, offsets] = [block.column('_kafka_partition'), block.column('_kafka_offset')];
  const cells = {
    eventTime: block.column('event_time'),
    userId: block.column('user_id'),
    url: block.column('url'),
    deviceId: block.column('device_id'),
    sessionId: block.column('session_id'),
  };
  for (let row = 0; row < block.rowCount; row += 1) {
    const [partition, offset] = [numberAt(partitions, row), bigintAt(offsets, row)];
    const found = rowAsFound(cells, row);
    const expected = index.take(partition, offset);
    const place = `partition ${partition}, offset ${offset}`;
    if (expected === undefined) {
      takeUnknownRow(found, { partition, place }, matching);
      continue;
    }
    seen.rows += 1;
    if (expected.again) findings.add('doubled clicks', () => place);
    const difference = differenceOf(expected, found);
    if (difference !== undefined) findings.add('wrong rows', () => `${place}: ${difference}`);
    else if (expected.kind === 'contract-violation') seen.mended += 1;
  }
}

/** A row that the ledger has at no offset: of a send whose outcome was not known, replayed, or somebody else's. */
function takeUnknownRow(
  found: FoundRecord,
  { partition, place }: { partition: number; place: string },
  { unknown, replays, findings, seen }: Matching,
): void {
  const replay = replays.resolve(partition, found);
  if (replay === 'once') seen.replayed += 1;
  else if (unknown.resolve(partition, found)) seen.resolved += 1;
  else if (replay === 'again') findings.add('doubled clicks', () => `${place}, a replay`);
  else {
    seen.others += 1;
    if (lacksValue(found)) seen.lacking += 1;
  }
}

function takeRejectBlock(
  block: RowBlock,
  topic: string,
  { index, unknown, replays, findings, seen }: Matching,
): void {
  const [topics, kinds] = [block.column('_kafka_topic'), block.column('error_kind')];
  const [partitions, offsets] = [block.column('_kafka_partition'), block.column('_kafka_offset')];
  for (let row = 0; row < block.rowCount; row += 1) {
    if (topics[row] !== topic) continue;
    const [partition, offset] = [numberAt(partitions, row), bigintAt(offsets, row)];
    const kind = String(kinds[row]);
    const expected = index.take(partition, offset);
    if (expected === undefined) {
      if (unknown.resolveReject(partition, kind)) seen.resolved += 1;
      else seen.others += 1;
      continue;
    }
    seen.rejects += 1;
    const place = `partition ${partition}, offset ${offset}`;
    if (expected.again) findings.add('doubled clicks', () => place);
    const wrong = `${place}: ${kind}, made as ${expected.kind}`;
    if (expected.kind === kind) replays.add(partition, expected);
    else if (expected.kind === 'good') replays.add(partition, expected, wrong);
    else findings.add('wrong rejects', () => wrong);
  }
}

type RowCells = Record<'eventTime' | 'userId' | 'url' | 'deviceId' | 'sessionId', readonly Cell[]>;

/** The values of a row as a ledger spells them; a contract may have come to allow null in any of them. */
type FoundRecord = Record<Exclude<keyof ExpectedRecord, 'kind'>, number | string | null>;

function rowAsFound(cells: RowCells, row: number): FoundRecord {
  const eventTime = numberOrText(cells.eventTime[row]);
  return {
    eventTimeMs: typeof eventTime === 'number' ? eventTime / 1000 : eventTime,
    userId: numberOrText(cells.userId[row]),
    url: textOrNull(cells.url[row]),
    deviceId: textOrNull(cells.deviceId[row]),
    sessionId: textOrNull(cells.sessionId[row]),
  };
}

function numberOrText(cell: Cell | undefined): number | string | null {
  return typeof cell === 'bigint' || typeof cell === 'number' ? Number(cell) : textOrNull(cell);
}

function textOrNull(cell: Cell | undefined): string | null {
  return cell === null || cell === undefined ? null : String(cell);
}

/** A value that every produced record has is null. */
function lacksValue({ eventTimeMs, userId, url, deviceId }: FoundRecord): boolean {
  return [eventTimeMs, userId, url, deviceId].includes(null);
}

/** The first field that differs, in words; undefined when all are equal. */
function differenceOf(expected: ExpectedRecord, found: FoundRecord): string | undefined {
  const { kind } = expected;
  const isDecodable = kind === 'good' || kind === 'contract-violation';
  if (!isDecodable) return `a row, but made as ${kind}`;
  const sent = asSent(expected);
  const fields = ['eventTimeMs', 'userId', 'url', 'deviceId', 'sessionId'] as const;
  const field = fields.find((name) => sent[name] !== found[name]);
  if (field === undefined) return undefined;
  return `${field} is ${String(found[field])}, produced as ${String(sent[field])}`;
}

/** The ledger has the click that a record was made from: one that breaks the contract lacks its user and session. */
function asSent(expected: ExpectedRecord): FoundRecord {
  if (expected.kind !== 'contract-violation') return expected;
  return { ...expected, userId: null, sessionId: null };
}

/** Rejects by their values, which a replay keeps; each may have become one row since. */
type Replays = {
  /** `wrong` says what is wrong with the reject unless it was replayed. */
  add(partition: number, reject: ExpectedRecord, wrong?: string): void;
  resolve(partition: number, found: FoundRecord): 'once' | 'again' | 'unknown';
  wrongRejects(): Iterable<string>;
};

/** Memory: one text a reject. */
function openReplays(): Replays {
  /** Of rejects of the same values, those that have not become rows. */
  const open = new Map<string, (string | undefined)[]>();
  return {
    add(partition, reject, wrong) {
      const signature = rowSignature(partition, asSent(reject));
      const same = open.get(signature) ?? [];
      open.set(signature, same);
      same.push(wrong);
    },
    resolve(partition, found) {
      const same = open.get(rowSignature(partition, found));
      if (same === undefined) return 'unknown';
      if (same.length === 0) return 'again';
      same.pop();
      return 'once';
    },
    *wrongRejects() {
      for (const same of open.values()) {
        for (const wrong of same) if (wrong !== undefined) yield wrong;
      }
    },
  };
}

/** Records that may be in the topic or not, and at unknown offsets: found again by their values. */
type UnknownSends = {
  add(batch: ProducedBatch): void;
  resolve(partition: number, found: FoundRecord): boolean;
  resolveReject(partition: number, kind: string): boolean;
  count(): number;
};

function openUnknownSends(): UnknownSends {
  const open = new Map<string, number>();
  let count = 0;
  const take = (signature: string): boolean => {
    const left = open.get(signature) ?? 0;
    if (left > 0) open.set(signature, left - 1);
    return left > 0;
  };
  return {
    add(batch) {
      for (let i = 0; i < batch.count; i += 1) {
        const kind = batch.kind[i] ?? 'good';
        const record = {
          kind,
          eventTimeMs: batch.eventTimeMs[i] ?? 0,
          userId: batch.userId[i] ?? 0,
          url: batch.url[i] ?? '',
          deviceId: batch.deviceId[i] ?? '',
          sessionId: batch.sessionId[i] ?? null,
        };
        const { partition } = batch;
        const signature =
          kind === 'good' ? rowSignature(partition, record) : rejectSignature(partition, kind);
        open.set(signature, (open.get(signature) ?? 0) + 1);
        count += 1;
      }
    },
    resolve: (partition, found) => take(rowSignature(partition, found)),
    resolveReject: (partition, kind) => take(rejectSignature(partition, kind)),
    count: () => count,
  };
}

function rowSignature(partition: number, record: FoundRecord): string {
  const { eventTimeMs, userId, url, deviceId, sessionId } = record;
  return JSON.stringify([partition, eventTimeMs, userId, url, deviceId, sessionId]);
}

function rejectSignature(partition: number, kind: string): string {
  return JSON.stringify([partition, kind]);
}
