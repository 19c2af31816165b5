import type { Clock } from '../clock.ts';
import { EnrichError } from '../error.ts';
import type { Log } from '../source/log.ts';
import type { DeadLetter } from './read-dead-letters.ts';

/** No record and no end of a topic that is being read for so long: nobody waits any longer. */
const STANDSTILL_MS_MAX = 30_000;
const POLL = { waitMsMax: 250, bytesMax: 4 * 1024 ** 2 };

/** The compacted topic that names every record which was replayed for a pipeline. */
export function marksTopic(pipeline: string): string {
  return `${pipeline}-replayed`;
}

/**
 * What names a dead letter for good: a recreated topic has another id. Rows of tables without topic ids are
 * named by their topic.
 */
export function markOf({ topic, topicId, partition, offset }: DeadLetter): string {
  return `${topicId ?? topic}/${partition}/${offset}`;
}

/** The records that were replayed. Memory grows with each that ever was, by some 30 bytes. */
export class ReplayMarks {
  /** Offsets as numbers, of which Kafka has fewer than 2^53: a third of the memory of bigints. */
  readonly #offsets = new Map<string, Set<number>>();

  has(letter: DeadLetter): boolean {
    const { partitionName, offset } = parse(markOf(letter));
    return this.#offsets.get(partitionName)?.has(offset) === true;
  }

  add(mark: string): void {
    const { partitionName, offset } = parse(mark);
    const offsets = this.#offsets.get(partitionName) ?? new Set();
    this.#offsets.set(partitionName, offsets.add(offset));
  }
}

function parse(mark: string): { partitionName: string; offset: number } {
  const at = mark.lastIndexOf('/');
  return { partitionName: mark.slice(0, at), offset: Number(mark.slice(at + 1)) };
}

/**
 * Reads the marks to the end that the topic has now, committed ones only. Where the broker that is asked knows no
 * such topic there are none; not so with `mustExist`, for one that was made just now may be on its way to it.
 * Errors: `unavailable` where Kafka stops answering, or does not come to know a topic that must exist.
 */
export async function readMarks(
  log: Log,
  topic: string,
  { clock, mustExist = false }: { clock: Clock; mustExist?: boolean },
): Promise<ReplayMarks> {
  const marks = new ReplayMarks();
  if (!(await exists(log, topic, { clock, waitMsMax: mustExist ? STANDSTILL_MS_MAX : 0 }))) {
    if (!mustExist) return marks;
    const message = `Kafka does not know topic ${topic}, which names what was replayed: run it again`;
    throw new EnrichError('unavailable', message);
  }
  const ends = new Map<number, bigint>();
  const positions: { topic: string; partition: number; nextOffset: bigint }[] = [];
  for (const [partition, { startOffset, endOffset }] of await log.bounds(topic)) {
    if (startOffset >= endOffset) continue;
    ends.set(partition, endOffset);
    positions.push({ topic, partition, nextOffset: startOffset });
  }
  const reader = await log.openReader();
  reader.assign(positions);
  let movedMs = clock.elapsedMs();
  try {
    while (ends.size > 0) {
      const progress = await reader.poll(
        (_topic, _partition, { bytes, count, keyStart, keyLength }) => {
          for (let i = 0; i < count; i++) {
            const start = keyStart[i] ?? 0;
            marks.add(Buffer.from(bytes.subarray(start, start + (keyLength[i] ?? 0))).toString());
          }
        },
        POLL,
      );
      if (progress.length > 0) movedMs = clock.elapsedMs();
      for (const { partition, nextOffset } of progress) {
        if (nextOffset >= (ends.get(partition) ?? 0n)) ends.delete(partition);
      }
      if (clock.elapsedMs() - movedMs < STANDSTILL_MS_MAX) continue;
      throw new EnrichError('unavailable', `topic ${topic} could not be read to its end`);
    }
  } finally {
    await reader.close();
  }
  return marks;
}

async function exists(
  log: Log,
  topic: string,
  { clock, waitMsMax }: { clock: Clock; waitMsMax: number },
): Promise<boolean> {
  const endMs = clock.elapsedMs() + waitMsMax;
  while ((await log.describeTopic(topic)) === undefined) {
    if (clock.elapsedMs() >= endMs) return false;
    await clock.sleep(POLL.waitMsMax);
  }
  return true;
}
