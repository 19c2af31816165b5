import { parentPort, workerData } from 'node:worker_threads';
import type {
  Column,
  ColumnBatch,
  DictionaryValues,
} from '@iceberg-js/rest-client-shim/parquet/columns.ts';
import { createClickBatch } from '../../../enrich/core/click-batch.ts';
import { joinBatch } from '../../../enrich/core/join.ts';
import { attachProjection } from '../../../enrich/state/hash-projection.ts';
import type { ProjectionMemory } from '../../../enrich/state/hash-projection.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';

/** What the thread is told to do, once or, without a barrier, for ever. */
export type JoinThreadOptions = {
  keys: number;
  forEver: boolean;
  /** Ignored, a join that sees a change in progress goes on, and gives rows that are torn. */
  sequence: 'read' | 'ignored';
};
export type JoinThreadRequest = { memory: ProjectionMemory };
export type JoinThreadAnswer = { hits: number; torn: string | undefined };

const NAME = 5;
const NOTE = 6;
const contract = {
  name: 'click',
  avroSchema: { type: 'record', name: 'click', fields: [{ name: 'user_id', type: 'long' }] },
} as const;

const { keys, forEver, sequence } = workerData as JoinThreadOptions;
const clicks = createClickBatch(createRowBuffer(contract, keys), keys);
const [column] = clicks.rows.columns;
if (column?.kind !== 'int64') throw new Error('user_id is a long');
for (let key = 0; key < keys; key++) {
  column.words[2 * key] = key;
  column.valid[key] = 1;
}
clicks.rows.rowCount = keys;

/** Joins every key, and looks for a row whose columns do not belong together, or not to its key. */
function join({ memory }: JoinThreadRequest): JoinThreadAnswer {
  const projection = attachProjection(memory);
  if (sequence === 'ignored') projection.sequence = () => 0;
  try {
    const { batch, hits } = joinBatch(
      clicks,
      {
        columns: new Map([
          ['user_id', { id: 1, type: 'long' }],
          ['_kafka_partition', { id: 2, type: 'int' }],
          ['_kafka_offset', { id: 3, type: 'long' }],
          ['_ingested_at', { id: 4, type: 'timestamptz' }],
        ]),
        dimensions: [
          {
            name: 'users',
            streamField: 'user_id',
            normaliser: 'none',
            projection,
            columns: [
              { id: NAME, type: 'string' },
              { id: NOTE, type: 'string' },
            ],
            matchFieldId: 7,
          },
        ],
      },
      0,
    );
    return { hits: hits.get('users') ?? 0, torn: tornRow(batch) };
  } catch (error) {
    return { hits: 0, torn: String(error) };
  }
}

/** A sound row has the name `<key> <version>` and the note `<version>`; the versions of all rows are one. */
function tornRow(batch: ColumnBatch): string | undefined {
  const names = textsOf(batch.columns.get(NAME));
  const notes = textsOf(batch.columns.get(NOTE));
  let version: string | undefined;
  for (const [key, name] of names.entries()) {
    const note = notes[key];
    if (name === undefined && note === undefined) continue;
    version ??= note;
    if (note !== version || name !== `${key} ${note}`) return `key ${key}: ${name}, ${note}`;
  }
  return undefined;
}

function textsOf(joined: Column | undefined): (string | undefined)[] {
  if (joined?.kind !== 'dictionary') throw new Error('carried columns are dictionaries');
  const texts = decode(joined.dictionary);
  return [...joined.codes].map((code) => (code < 0 ? undefined : texts[code]));
}

function decode({ values, size }: DictionaryValues): string[] {
  if (values.kind !== 'bytes') throw new Error('texts are bytes');
  const { bytes, offsets } = values.slices;
  const decoder = new TextDecoder();
  return Array.from({ length: size }, (_, i) =>
    decoder.decode(new Uint8Array(bytes.subarray(offsets[i], offsets[i + 1]))),
  );
}

parentPort?.on('message', (request: JoinThreadRequest) => {
  for (;;) {
    const answer = join(request);
    if (forEver && answer.torn === undefined) continue;
    parentPort?.postMessage(answer);
    return;
  }
});
