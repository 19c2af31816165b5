import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { openAppendFile } from './append-file.ts';
import type { ClickBatch } from './clicks.ts';
import type { CorruptKind } from './corrupt.ts';
import { GenerateError } from './error.ts';

/**
 * What was produced, so that every row of the table can be checked. NDJSON, appended to:
 *
 *   {"ledger":1,"topic":…,"clusterId":…,"seed":…}          one at the start of each run
 *   {"send":n,"partition":[…],"eventTimeMs":[…],…}         before the records of send n go out
 *   {"ack":n,"base":{"0":"123",…}}                         once all of them are acknowledged
 *
 * Records of one send and partition have consecutive offsets from that partition's base, in order.
 * A send without an ack is one whose outcome is unknown: the generator was killed or Kafka gave up on
 * it. A line cut short by a kill is ignored: its send never went out, or its ack counts as unknown.
 */
export type LedgerWriter = {
  /** On disk (as far as the operating system goes) when it resolves; gives the number for `ack`. */
  send(batch: ClickBatch): Promise<number>;
  ack(send: number, baseOffsets: ReadonlyMap<number, bigint>): Promise<void>;
  close(): Promise<void>;
};

export type LedgerRun = { topic: string; clusterId: string; seed: number };

/** Records of one send that went to one partition, in order of their offsets. */
export type LedgerBatch = {
  topic: string;
  partition: number;
  /** Offset of the first record; undefined when the send's outcome is unknown. */
  baseOffset: bigint | undefined;
  count: number;
  eventTimeMs: number[];
  userId: number[];
  url: string[];
  deviceId: string[];
  sessionId: (string | null)[];
  kind: ('good' | CorruptKind)[];
};

/** Sends that may wait for their ack at once; more in a file means that it is not a ledger. */
const PENDING_SENDS_MAX = 1_000;

/** Opens a ledger for appending; a file of an earlier run is continued. Errors: `config`. */
export async function openLedgerWriter(path: string, run: LedgerRun): Promise<LedgerWriter> {
  const file = await openAppendFile(path);
  let sends = 0;
  // The empty line ends one that an earlier run may have left cut short.
  await file.line(`\n${JSON.stringify({ ledger: 1, ...run })}`);
  return {
    async send(batch) {
      sends += 1;
      const { value: _value, kind, ...columns } = batch;
      const bad = Object.fromEntries(
        kind.flatMap((name, i) => (name === 'good' ? [] : [[i, name] as const])),
      );
      await file.line(JSON.stringify({ send: sends, ...columns, bad }));
      return sends;
    },
    async ack(send, baseOffsets) {
      const base = Object.fromEntries([...baseOffsets].map(([p, offset]) => [p, String(offset)]));
      await file.line(JSON.stringify({ ack: send, base }));
    },
    close: () => file.close(),
  };
}

type SendLine = Omit<ClickBatch, 'value' | 'kind'> & {
  send: number;
  bad: Record<string, CorruptKind>;
};

type LedgerLine =
  ({ ledger: 1 } & LedgerRun) | SendLine | { ack: number; base: Record<string, string> };

/**
 * Reads a ledger from its start, one batch for each send and partition, in the order of the acks;
 * sends of unknown outcome come when their run ends. Runs that are not accepted are left out. Memory: the sends that wait for an ack.
 * Errors: `config` for a file that is not a ledger or cannot be opened.
 */
export async function* readLedger(
  path: string,
  accepts: (run: LedgerRun) => boolean = () => true,
): AsyncGenerator<LedgerBatch> {
  let run: LedgerRun | undefined;
  let accepted = true;
  let pending = new Map<number, SendLine>();
  for await (const line of linesOf(path)) {
    const entry = parseLine(line);
    if (entry === undefined) continue;
    if ('ledger' in entry) {
      yield* unknownSends(run, pending);
      run = entry;
      accepted = accepts(entry);
      pending = new Map();
      continue;
    }
    if (!accepted) continue;
    if (run === undefined) throw new GenerateError('config', `${path} is not a ledger`);
    if ('send' in entry) {
      pending.set(entry.send, entry);
      if (pending.size > PENDING_SENDS_MAX) {
        throw new GenerateError('config', `${path}: ${pending.size} sends without an ack`);
      }
      continue;
    }
    const send = pending.get(entry.ack);
    pending.delete(entry.ack);
    if (send !== undefined) yield* splitByPartition(run, send, entry.base);
  }
  yield* unknownSends(run, pending);
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  } catch (cause) {
    throw new GenerateError('config', `cannot read the ledger ${path}`, { cause });
  }
}

function parseLine(line: string): LedgerLine | undefined {
  try {
    // A line that parses is one that this file's writer finished.
    return line === '' ? undefined : (JSON.parse(line) as LedgerLine);
  } catch {
    return undefined;
  }
}

function* unknownSends(
  run: LedgerRun | undefined,
  pending: ReadonlyMap<number, SendLine>,
): Generator<LedgerBatch> {
  if (run === undefined) return;
  for (const send of pending.values()) yield* splitByPartition(run, send, {});
}

function splitByPartition(
  run: LedgerRun,
  send: SendLine,
  base: Record<string, string>,
): Iterable<LedgerBatch> {
  const batches = new Map<number, LedgerBatch>();
  for (let i = 0; i < send.count; i += 1) {
    const partition = at(send.partition, i);
    let batch = batches.get(partition);
    if (batch === undefined) {
      batch = emptyLedgerBatch(run.topic, partition, base[partition]);
      batches.set(partition, batch);
    }
    batch.count += 1;
    batch.eventTimeMs.push(at(send.eventTimeMs, i));
    batch.userId.push(at(send.userId, i));
    batch.url.push(at(send.url, i));
    batch.deviceId.push(at(send.deviceId, i));
    batch.sessionId.push(at(send.sessionId, i));
    batch.kind.push(send.bad[i] ?? 'good');
  }
  return batches.values();
}

function emptyLedgerBatch(topic: string, partition: number, base: string | undefined): LedgerBatch {
  return {
    topic,
    partition,
    baseOffset: base === undefined ? undefined : BigInt(base),
    count: 0,
    eventTimeMs: [],
    userId: [],
    url: [],
    deviceId: [],
    sessionId: [],
    kind: [],
  };
}

function at<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new GenerateError('config', 'a ledger line misses values');
  return value;
}
