import { frameBytes, readSchemaId } from '../../connectors/framing.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import type { Registry } from '../../schemas/registry.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import { changeTexts } from '../core/judge-schema.ts';
import type { JudgeWriter } from '../pipeline/judge-writer.ts';
import type { RawDeadLetter } from './read-dead-letters.ts';

/**
 * Says why a dead letter cannot become a row of the stream with the registry, the contract, the policy and the table as they
 * are now; undefined where it can. One sentence for each cause, so that records can be counted by it.
 * Errors: those of the registry.
 */
export function createJudge(options: {
  registry: Pick<Registry, 'schemaById'>;
  contract: Contract;
  judge: JudgeWriter;
  streamTopic: string;
  elapsedMs: () => number;
}): (letter: RawDeadLetter) => Promise<string | undefined> {
  const { registry, streamTopic, elapsedMs } = options;
  const schemas = createSchemaCache({ registry, elapsedMs });
  const readers = new WeakMap<AvroObject, Reader>();
  return async ({ topic, value }) => {
    if (topic !== streamTopic) {
      return (
        `a record of ${topic} is a change of a table, and later ones may have been applied since: ` +
        '"tributary connectors resnapshot TABLE" reads the table again'
      );
    }
    if (value === null) return 'it has no value, so there is nothing to send';
    const schemaId = readSchemaId(value, 0, value.length);
    if (schemaId < 0) return 'it is not framed by a zero byte and a schema id: send it anew';
    if (schemas.resolve(schemaId) === undefined) await schemas.load(schemaId);
    const avroSchema = schemas.resolve(schemaId);
    if (avroSchema === undefined) return 'the registry still has no schema with its id';
    const reader = readers.get(avroSchema) ?? createReader(options, avroSchema);
    readers.set(avroSchema, reader);
    return reader(value);
  };
}

type Reader = (value: Uint8Array) => string | undefined;

/** Reads as the pipeline would that meets the schema first. */
function createReader(
  { contract, judge }: { contract: Contract; judge: JudgeWriter },
  writer: AvroObject,
): Reader {
  const verdict = judge(contract, contract, writer);
  if (verdict.kind === 'unreadable') {
    const { kind, message } = verdict.failure;
    return () => `${kind}: ${message}`;
  }
  if (verdict.kind !== 'read') {
    const problem = `schema-change: ${changeTexts(verdict.changes).join('; ')}`;
    return () => problem;
  }
  const decoder = createRowDecoder(verdict.contract, verdict.pinned);
  return (value) => {
    const rows = createRowBuffer(verdict.contract, 1);
    const failure = decoder.append(value, frameBytes, value.length, rows);
    return failure === undefined ? undefined : `${failure.kind}: ${failure.message}`;
  };
}
