import type { DeadLetter, RawDeadLetter } from './read-dead-letters.ts';
import { markOf } from './replay-marks.ts';
import { letterBytes } from './replay-producer.ts';
import type { ReplayMarks } from './replay-marks.ts';

/** One transaction: all of these records and their marks, or nothing. */
const BATCH_RECORDS_MAX = 500;
/** Half of what a partition takes in one batch unless its topic says otherwise. */
const BATCH_BYTES_MAX = 512 * 1024;
const TOO_LARGE =
  'with its header it is larger than max.message.bytes of its topic allows: raise that, then replay it';
const EXAMPLES_MAX = 3;

/** Why records stay where they are, with some of them. */
type LeftOut = { reason: string; count: number; examples: DeadLetter[] };

export type ReplayReport = {
  /** Sent now; in a dry run, what would be. */
  replayed: number;
  /** Sent by an earlier run. */
  alreadyReplayed: number;
  /** Those that cannot become rows yet. */
  leftOut: LeftOut[];
};

/**
 * Sends each dead letter that can become a row now, unless it is marked as sent. `send` does a batch and
 * its marks in one transaction; without it nothing is sent. An error of `send` ends it: what was sent is
 * marked, so the next run goes on there.
 */
export async function replay(options: {
  files: AsyncIterable<readonly RawDeadLetter[]>;
  marks: ReplayMarks;
  /** Why the record still cannot become a row; undefined where it can. */
  problemOf: (letter: RawDeadLetter) => Promise<string | undefined>;
  send?: (batch: readonly RawDeadLetter[]) => Promise<void>;
  /** What `send` takes of one partition, counted by `letterBytes`; no bound where it is not known. */
  batchBytesMax?: number;
  /** Told of each batch: how many were sent so far. */
  onSent?: (count: number) => void;
}): Promise<ReplayReport> {
  const { files, marks, problemOf, send, onSent, batchBytesMax = Infinity } = options;
  const report: ReplayReport = { replayed: 0, alreadyReplayed: 0, leftOut: [] };
  let batch: RawDeadLetter[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    await send?.(batch);
    report.replayed += batch.length;
    onSent?.(report.replayed);
    batch = [];
    bytes = 0;
  };
  for await (const letters of files) {
    for (const letter of letters) {
      if (marks.has(letter)) {
        report.alreadyReplayed++;
        continue;
      }
      const size = letterBytes(letter);
      const problem = (await problemOf(letter)) ?? (size > batchBytesMax ? TOO_LARGE : undefined);
      if (problem !== undefined) {
        leaveOut(report, problem, letter);
        continue;
      }
      // Here already: the table may hold a letter twice, where maintenance went wrong.
      marks.add(markOf(letter));
      if (bytes + size > Math.min(BATCH_BYTES_MAX, batchBytesMax)) await flush();
      batch.push(letter);
      bytes += size;
      if (batch.length >= BATCH_RECORDS_MAX) await flush();
    }
  }
  await flush();
  return report;
}

function leaveOut({ leftOut }: ReplayReport, reason: string, letter: RawDeadLetter): void {
  const known = leftOut.find((candidate) => candidate.reason === reason);
  const entry = known ?? { reason, count: 0, examples: [] };
  if (known === undefined) leftOut.push(entry);
  entry.count++;
  const { key: _key, value: _value, ...plain } = letter;
  if (entry.examples.length < EXAMPLES_MAX) entry.examples.push(plain);
}
