import { frameBytes } from '../../connectors/framing.ts';
import { createCodecCache } from '../../schemas/codec-cache.ts';
import type { Contract } from '../../schemas/contract.ts';
import type { Registry } from '../../schemas/registry.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { readSchemaId } from '../../schemas/row-decoder.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import type { RawDeadLetter } from './read-dead-letters.ts';

/**
 * Says why a dead letter cannot become a row of the stream with the registry and the contract as they are
 * now; undefined where it can. One sentence for each cause, so that records can be counted by it.
 * Errors: those of the registry.
 */
export function createJudge(options: {
  registry: Pick<Registry, 'schemaById'>;
  contract: Contract;
  streamTopic: string;
  elapsedMs: () => number;
}): (letter: RawDeadLetter) => Promise<string | undefined> {
  const { registry, contract, streamTopic, elapsedMs } = options;
  const schemas = createSchemaCache({ registry, elapsedMs });
  const codecs = createCodecCache({ schemas, contract });
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
    if (codecs.decoder(schemaId) === undefined) await schemas.load(schemaId);
    const decoder = codecs.decoder(schemaId);
    if (decoder === undefined || decoder === 'unknown') {
      return 'the registry still has no schema with its id';
    }
    const rows = createRowBuffer(contract, 1);
    const failure = decoder.append(value, frameBytes, value.length, rows);
    return failure === undefined ? undefined : `${failure.kind}: ${failure.message}`;
  };
}
