import { EnrichError } from '../error.ts';
import type { TopicDescription } from '../source/log.ts';

const REBUILD_STATE =
  'Stop the pipeline, delete state.directory and start it again: the state is rebuilt from the topics';

/** INVARIANTS.md 9: the rows of another topic, or of another cluster's, are no start for this one. */
export function assertSameTopic(
  stored: { clusterId: string; topicId: string },
  { topic, clusterId, topicId }: TopicDescription,
): void {
  if (stored.clusterId === clusterId && stored.topicId === topicId) return;
  throw new EnrichError(
    'fenced',
    `the state was built from another ${topic}: the topic was recreated, or the cluster is another one. ` +
      REBUILD_STATE,
    { context: { topic, stored, found: { clusterId, topicId } } },
  );
}

/** A position that the log does not have is of another log, or of this one before it lost records. */
export function assertWithinLog(at: {
  topic: string;
  partition: number;
  position: bigint;
  startOffset: bigint;
  endOffset: bigint;
}): void {
  const { topic, partition, position, startOffset, endOffset } = at;
  if (position >= startOffset && position <= endOffset) return;
  throw new EnrichError(
    'fenced',
    `the state has applied ${topic}-${partition} up to offset ${position}, but the log holds ` +
      `${startOffset} to ${endOffset}. ${REBUILD_STATE}`,
    { context: at },
  );
}
