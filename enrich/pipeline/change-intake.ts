import type { Change, ChangeReject } from '../../connectors/change.ts';
import type { ChangeDecoder } from '../../connectors/decode-change.ts';
import { readSchemaId, schemaIdOf } from '../../connectors/framing.ts';
import { isStreamed } from '../../connectors/readiness-signal.ts';
import type { Reject } from '../core/dead-letters.ts';
import type { RecordColumns, TopicDescription } from '../source/log.ts';
import type { ChangeBatch } from '../state/change-batch.ts';
import type { DimensionState } from '../state/dimension-state.ts';
import type { PositionedChange, RefusedChange } from '../state/fold-changes.ts';
import { KeptRecords, recordAt, timestampAt } from './kept-records.ts';
import type { KeptRecord } from './kept-records.ts';
import type { SchemaLoads } from './schema-loads.ts';
import { taken } from './source-schemas.ts';
import type { SourceVerdict, SourceSchemas } from './source-schemas.ts';

/** One dimension's changelog topic and how to read it. */
export type DimensionTopic = {
  name: string;
  description: TopicDescription;
  decoder: ChangeDecoder;
  /** Judges the schemas that the values of its records name. */
  sourceSchemas: Pick<SourceSchemas, 'verdict' | 'entries'>;
};

/** Why the records of a partition are not taken further. */
export type Standstill =
  | { kind: 'missing'; schemaIds: readonly number[] }
  /** By the policy for changes of the source. */
  | ({ kind: 'pause' } & HeldUp)
  | ({ kind: 'fail' } & HeldUp);

type HeldUp = { schemaId: number; why: string; remedy: string };

/** Offsets below this, and the few that a batch adds to them, are exact as numbers. */
const exactOffsetMax = 2n ** 52n;

/** What one poll gave of one partition of a change topic. */
export class ChangeIntake {
  readonly topic: DimensionTopic;
  readonly partition: number;
  readonly batch: ChangeBatch;
  /** How many changes of each kind it has. */
  readonly counts = new Map<Change['kind'], number>();
  /** The offset after all that was taken. */
  next: bigint;
  readonly #records = new KeptRecords();
  readonly #rejects: Reject[] = [];
  readonly #place = { offset: 0, timestampMs: 0 };
  #schemaId = -1;
  #verdictOfRun = taken;

  constructor(options: {
    topic: DimensionTopic;
    partition: number;
    next: bigint;
    state: Pick<DimensionState, 'newBatch'>;
  }) {
    const { topic, partition, next, state } = options;
    this.topic = topic;
    this.partition = partition;
    this.next = next;
    this.batch = state.newBatch(topic.name, partition, (offset) => this.#changeAt(offset));
  }

  /** Bytes of memory that the records take which it keeps: all that it was given. */
  get keptBytes(): number {
    return this.#records.byteLength;
  }

  /** Takes records up to the first whose schema is not loaded, or is to be taken by nobody; tells which that is. */
  take(
    records: RecordColumns,
    options: { schemas: Pick<SchemaLoads, 'isUnknown'>; onStreamingChange: () => void },
  ): Standstill | undefined {
    const kept = this.#records.keep(records);
    const { baseOffset, count, offsetDelta } = kept;
    const deltaMin = this.next > baseOffset ? Number(this.next - baseOffset) : 0;
    const isExact = baseOffset < exactOffsetMax;
    for (let index = 0; index < count; index++) {
      const delta = offsetDelta[index] as number;
      if (delta < deltaMin) continue;
      const verdict = this.#verdict(kept, index);
      const { kind } = verdict;
      if (kind === 'pause' || kind === 'fail') {
        this.next = baseOffset + BigInt(delta);
        return { ...verdict, kind, schemaId: this.#schemaId };
      }
      const isPlain = isExact && kind === 'take';
      if (isPlain && this.#takePlain(kept, index, options.onStreamingChange)) continue;
      const offset = baseOffset + BigInt(delta);
      const missing = this.#take(recordAt(kept, index), { offset, verdict }, options);
      if (missing.length === 0) continue;
      this.next = offset;
      return { kind: 'missing', schemaIds: missing };
    }
    if (count > 0) this.next = baseOffset + BigInt(offsetDelta[count - 1] as number) + 1n;
    return undefined;
  }

  /** Of the schema that the record's value names: asked for at the first of a run of records with the same. */
  #verdict(records: RecordColumns, index: number): SourceVerdict {
    const start = records.valueStart[index] as number;
    const end = start + (records.valueLength[index] as number);
    const schemaId = readSchemaId(records.bytes, start, end);
    if (schemaId < 0) return taken;
    if (schemaId === this.#schemaId) return this.#verdictOfRun;
    const offset = records.baseOffset + BigInt(records.offsetDelta[index] as number);
    const verdict = this.topic.sourceSchemas.verdict(schemaId, {
      partition: this.partition,
      offset,
    });
    // It is not loaded: that is told of the record.
    if (verdict === undefined) return taken;
    this.#schemaId = schemaId;
    this.#verdictOfRun = verdict;
    return verdict;
  }

  #takePlain(records: RecordColumns, index: number, onStreamingChange: () => void): boolean {
    const plain = this.topic.decoder.readPlain(records, index);
    if (plain === undefined) return false;
    const place = this.#place;
    place.offset = Number(records.baseOffset) + (records.offsetDelta[index] as number);
    place.timestampMs = timestampAt(records, index);
    if (!this.batch.addPlain(plain, place)) return false;
    if (!plain.initialSnapshot) onStreamingChange();
    this.#count('upsert');
    return true;
  }

  #take(
    record: KeptRecord,
    { offset, verdict }: { offset: bigint; verdict: SourceVerdict },
    options: { schemas: Pick<SchemaLoads, 'isUnknown'>; onStreamingChange: () => void },
  ): readonly number[] {
    const { decoder } = this.topic;
    const { schemas, onStreamingChange } = options;
    const missing = decoder.missingSchemaIds(record).filter((id) => !schemas.isUnknown(id));
    if (missing.length > 0) return missing;
    const decoded = decoder.decode(record);
    if (isStreamed(decoded)) onStreamingChange();
    const change = judged(decoded, verdict);
    if (change.kind === 'reject') {
      this.#rejects.push(this.#rejectOf(record, { offset, ...change.reject }));
    }
    this.batch.add({ offset, timestampMs: record.timestampMs, change });
    this.#count(change.kind);
    return [];
  }

  /** The rejects of the decoder and those that only the state could refuse, by offset. */
  rejects(refused: readonly RefusedChange[]): readonly Reject[] {
    if (refused.length === 0) return this.#rejects;
    const late = refused.map(({ offset, reject }) =>
      this.#rejectOf(this.#records.at(offset), { offset, ...reject }),
    );
    return [...this.#rejects, ...late].toSorted((a, b) => (a.offset < b.offset ? -1 : 1));
  }

  #changeAt(offset: bigint): PositionedChange {
    const record = this.#records.at(offset);
    const { timestampMs } = record;
    return { offset, timestampMs, change: this.topic.decoder.decode(record) };
  }

  #count(kind: Change['kind']): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  #rejectOf(
    { key, value, timestampMs }: KeptRecord,
    { offset, reason, message }: ChangeReject & { offset: bigint },
  ): Reject {
    return {
      topic: this.topic.description.topic,
      partition: this.partition,
      offset,
      timestampMs,
      schemaId: schemaIdOf({ key, value }),
      kind: reason,
      message,
      key: key ?? undefined,
      value: value ?? undefined,
    };
  }
}

/** A change whose schema is rejected; what ends a row needs none of its columns. */
function judged(change: Change, verdict: SourceVerdict): Change {
  if (verdict.kind !== 'reject' || change.kind !== 'upsert') return change;
  return { kind: 'reject', reject: { reason: 'schema-change', message: verdict.why } };
}
