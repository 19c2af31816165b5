import { CHANGE_REJECT_REASONS } from '../../connectors/change.ts';
import type { DecodeFailure } from '../../schemas/row-buffer.ts';

const replayIt = 'then "tributary dlq replay" sends the record again';

const ofStream: Record<DecodeFailure['kind'], string> = {
  'null-value':
    'The message has no value, so there is nothing to replay. Keep its producer from sending tombstones to this topic.',
  'no-magic-byte':
    'The value does not come from a serialiser with a schema registry. Mend the producer, and send the event anew: as it is, it cannot be read.',
  'unknown-schema-id': `The registry has no schema with this id: the producer uses another registry, or the schema was deleted. Register it so that it has this id again, or name the producer's registry in pipeline.yaml; ${replayIt}.`,
  truncated: `The bytes end too early for the schema that the record names: it was cut, or written with another schema. Mend the producer and send the event anew; where the id means another schema by now, ${replayIt}.`,
  malformed: `The bytes are not of the schema that the record names: it was damaged, or written with another schema. Mend the producer and send the event anew; where the id means another schema by now, ${replayIt}.`,
  'invalid-utf8': 'The producer writes text that is not UTF-8. Mend it and send the event anew.',
  'out-of-range':
    'A time is outside the years 1 to 9999, or a decimal has more digits than its precision. Mend the producer and send the event anew; a decimal fits once the contract allows more digits.',
  'contract-violation': `The record is sound, and the contract does not take it. Mend the contract (let the field be null, give it a default, take the writer's type), let the table's column be null too where the field may now be (alter table … alter column … drop not null, in Trino), and restart the pipeline; ${replayIt}.`,
  'schema-change': `The record is sound, and its schema differs from the contract in a way that the stream's evolution policy refuses. Change the contract, or allow the change under stream.evolution in pipeline.yaml, and restart the pipeline; ${replayIt}.`,
};

const ofChanges =
  'A change of a source table is not replayed: later changes of its row may have been applied since. Mend the cause, then "tributary connectors resnapshot TABLE" reads the table again.';

/** Every kind that a dead letter can have, of the stream and of change topics. */
export const DEAD_LETTER_KINDS: readonly string[] = [
  ...new Set([...Object.keys(ofStream), ...CHANGE_REJECT_REASONS]),
];

/** What to do about a dead letter of this kind; `isStream` tells the stream's records from changes of tables. */
export function remedyOf(kind: string, isStream: boolean): string {
  if (!isStream) return ofChanges;
  return Object.hasOwn(ofStream, kind)
    ? ofStream[kind as DecodeFailure['kind']]
    : 'Mend the cause that the message names.';
}
