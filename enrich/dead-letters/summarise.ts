import type { DeadLetter } from './read-dead-letters.ts';

/** Dead letters of one topic and kind; times are µs since the epoch. */
type DeadLetterGroup = {
  topic: string;
  kind: string;
  count: number;
  replayed: number;
  firstUs: bigint;
  lastUs: bigint;
};

/** A letter, and whether it was replayed. */
type ListedLetter = DeadLetter & { replayed: boolean };

export type DeadLetterSummary = {
  count: number;
  /** The largest first. */
  groups: DeadLetterGroup[];
  /** The newest first, `limit` at most. */
  newest: ListedLetter[];
};

/** Counts letters and keeps the newest. Memory: the limit and the groups, of which there are few. */
export async function summarise(
  files: AsyncIterable<readonly DeadLetter[]>,
  isReplayed: (letter: DeadLetter) => boolean,
  limit: number,
): Promise<DeadLetterSummary> {
  const groups = new Map<string, DeadLetterGroup>();
  let newest: ListedLetter[] = [];
  let count = 0;
  for await (const letters of files) {
    for (const letter of letters) {
      const listed = { ...letter, replayed: isReplayed(letter) };
      count++;
      countIn(groups, listed);
      newest.push(listed);
      if (newest.length > 2 * limit + 1_000) newest = newestOf(newest, limit);
    }
  }
  return {
    count,
    groups: [...groups.values()].toSorted((a, b) => b.count - a.count),
    newest: newestOf(newest, limit),
  };
}

function countIn(groups: Map<string, DeadLetterGroup>, letter: ListedLetter): void {
  const { topic, kind, ingestedAtUs, replayed } = letter;
  const key = `${topic}/${kind}`;
  const group = groups.get(key) ?? {
    topic,
    kind,
    count: 0,
    replayed: 0,
    firstUs: ingestedAtUs,
    lastUs: ingestedAtUs,
  };
  group.count++;
  if (replayed) group.replayed++;
  if (ingestedAtUs < group.firstUs) group.firstUs = ingestedAtUs;
  if (ingestedAtUs > group.lastUs) group.lastUs = ingestedAtUs;
  groups.set(key, group);
}

function newestOf(letters: readonly ListedLetter[], limit: number): ListedLetter[] {
  return letters.toSorted(newestFirst).slice(0, limit);
}

function newestFirst(a: DeadLetter, b: DeadLetter): number {
  if (a.ingestedAtUs !== b.ingestedAtUs) return a.ingestedAtUs > b.ingestedAtUs ? -1 : 1;
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.partition !== b.partition) return a.partition - b.partition;
  return a.offset > b.offset ? -1 : 1;
}
