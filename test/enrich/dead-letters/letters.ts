import type { RawDeadLetter } from '../../../enrich/dead-letters/read-dead-letters.ts';

/** A dead letter of the stream's topic. */
export function letterAt(offset: number, more: Partial<RawDeadLetter> = {}): RawDeadLetter {
  return {
    topic: 'clicks',
    topicId: 'id-1',
    partition: 0,
    offset: BigInt(offset),
    timestampUs: 0n,
    ingestedAtUs: BigInt(offset),
    schemaId: 1,
    kind: 'truncated',
    message: 'field url: the record ends inside it',
    key: null,
    value: Buffer.from('v'),
    ...more,
  };
}
