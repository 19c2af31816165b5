import { describe, expect, it } from 'vitest';
import { createCodecCache } from '../../schemas/codec-cache.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import { contractOf } from './avro-encoding.ts';

const contract = contractOf([{ name: 'a', type: 'int' }]);

function open() {
  const state = { nowMs: 0 };
  const schemas = createSchemaCache({
    elapsedMs: () => state.nowMs,
    registry: { schemaById: async (id) => (id === 7 ? contract.avroSchema : 'unknown') },
  });
  return { schemas, codecs: createCodecCache({ schemas, contract }), state };
}

describe('decoders by schema id', () => {
  it('are absent until the schema is loaded, and made once', async () => {
    const { schemas, codecs } = open();
    expect(codecs.decoder(7)).toBeUndefined();
    await schemas.load(7);
    const decoder = codecs.decoder(7);
    expect(decoder).toBe(codecs.decoder(7));
    const buffer = createRowBuffer(contract, 1);
    if (decoder === undefined || decoder === 'unknown') throw new Error('expected a decoder');
    expect(decoder.append(new Uint8Array([4]), 0, 1, buffer)).toBeUndefined();
  });

  it('are unknown as long as the schema is', async () => {
    const { schemas, codecs, state } = open();
    await schemas.load(8);
    expect(codecs.decoder(8)).toBe('unknown');
    state.nowMs = 30_000;
    expect(codecs.decoder(8)).toBeUndefined();
  });
});
