import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { readCommitted } from '../core/position.ts';
import { EnrichError } from '../error.ts';

/** Commits that a roll-back has taken away and the user has agreed to give up, by the owner of the position. */
export type ForgottenCommits = ReadonlyMap<string, string>;

/**
 * Who holds the position of a topic in the dead-letter table. A recreated topic has another id, and with
 * it a position of its own: what the table holds of the topic before it says nothing about the new one.
 */
export function deadLetterOwner(of: {
  pipeline: string;
  /** Absent for the stream topic. */
  dimension?: string;
  topicId: string;
}): string {
  const { pipeline, dimension, topicId } = of;
  return dimension === undefined ? `${pipeline}.${topicId}` : `${pipeline}.${dimension}.${topicId}`;
}

/** Finds, for each owner, the commit that a roll-back of the table has taken away. Errors: `fenced`, unreadable. */
export function findLostCommits(
  metadata: TableMetadata,
  owners: readonly string[],
): Map<string, string> {
  const lost = new Map<string, string>();
  for (const owner of owners) {
    try {
      readCommitted(metadata, owner);
    } catch (error) {
      const commitId = error instanceof EnrichError ? error.context['commitId'] : undefined;
      if (typeof commitId !== 'string') throw error;
      lost.set(owner, commitId);
    }
  }
  return lost;
}
