import type { GroupPartitionsAssigner } from '@platformatic/kafka';

type Members = Parameters<GroupPartitionsAssigner>[1];

/**
 * Shares the partitions of topics out among the members of a group, so that no two of them differ by more than one
 * partition of a topic. Cooperative: each member keeps what it has up to its share; what it has beyond it is held back
 * for one round, after which the client has it join again, and is given to another then. What two members claim is held
 * back from both. (KIP-429; the client's own assigner takes members with a partition less than the mean for served,
 * and leaves the fourth of four without one of six.)
 */
export const balancedAssigner: GroupPartitionsAssigner = (_current, members, topics, metadata) => {
  const memberIds = [...members.keys()].toSorted();
  const assignments = new Map(
    memberIds.map((memberId) => [
      memberId,
      new Map<string, { topic: string; partitions: number[] }>(),
    ]),
  );
  for (const topic of topics) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0;
    const takers = memberIds.filter((memberId) => members.get(memberId)?.topics?.includes(topic));
    for (const [memberId, partitions] of share(topic, count, takers, members)) {
      if (partitions.length > 0) assignments.get(memberId)?.set(topic, { topic, partitions });
    }
  }
  return Array.from(assignments, ([memberId, own]) => ({ memberId, assignments: own }));
};

function share(
  topic: string,
  count: number,
  takers: readonly string[],
  members: Members,
): Map<string, number[]> {
  const claims = claimsOf(topic, count, takers, members);
  const owned = new Map<string, number[]>(takers.map((memberId) => [memberId, []]));
  for (const [partition, [owner, ...others]] of claims) {
    if (owner !== undefined && others.length === 0) owned.get(owner)?.push(partition);
  }
  const least = Math.floor(count / Math.max(1, takers.length));
  let larger = count - least * takers.length;
  // Whoever has most keeps most: so the fewest partitions change hands.
  const byOwned = takers.toSorted(
    (a, b) => (owned.get(b)?.length ?? 0) - (owned.get(a)?.length ?? 0),
  );
  const free = Array.from({ length: count }, (_, partition) => partition).filter(
    (partition) => !claims.has(partition),
  );
  const shares = new Map<string, number[]>();
  for (const memberId of byOwned) {
    const quota = least + (larger-- > 0 ? 1 : 0);
    const kept = (owned.get(memberId) ?? []).slice(0, quota);
    const added = free.splice(0, quota - kept.length);
    shares.set(
      memberId,
      [...kept, ...added].toSorted((a, b) => a - b),
    );
  }
  return shares;
}

/** Who says to have a partition, by those of the newest generation alone: a member that was away has none any more. */
function claimsOf(
  topic: string,
  count: number,
  takers: readonly string[],
  members: Members,
): Map<number, string[]> {
  const generationOf = (memberId: string): number => members.get(memberId)?.generationId ?? -1;
  const newest = Math.max(-1, ...takers.map(generationOf));
  const claims = new Map<number, string[]>();
  for (const memberId of takers) {
    if (generationOf(memberId) < newest) continue;
    for (const owned of members.get(memberId)?.ownedPartitions ?? []) {
      if (owned.topic !== topic) continue;
      for (const partition of owned.partitions) {
        if (partition < count) claims.set(partition, [...(claims.get(partition) ?? []), memberId]);
      }
    }
  }
  return claims;
}
