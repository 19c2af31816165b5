import { describe, expect, it } from 'vitest';
import { openEnvelopeDecoder } from '../../verify/envelope.ts';
import type { VerifyError } from '../../verify/error.ts';
import { goldenOf, resolveGolden } from '../connectors/golden-records.ts';
import { zigzag } from '../schemas/mutations.ts';

const decoder = openEnvelopeDecoder(async (schemaId) => resolveGolden(schemaId));

/** Key and value of a row with an array column. */
function row(): { key: Buffer; value: Buffer } {
  const record = goldenOf('types-r')[0]?.record;
  if (record?.key == null || record.value === null) throw new Error('the sample lacks a part');
  return { key: Buffer.from(record.key), value: Buffer.from(record.value) };
}

describe('a change record of the join check', { timeout: 60_000 }, () => {
  it('is read as it was written', async () => {
    const { key, value } = row();
    expect((await decoder.decode(key, value)).row?.size).toBeGreaterThan(10);
  });

  it.each([
    ['claims 2^53 items at any byte', zigzag(2n ** 53n)],
    ['claims -2^62 items at any byte', zigzag(-(2n ** 62n))],
    ['is cut at any byte', undefined],
  ])('that %s is read or damaged, and holds nobody up', async (_, bomb) => {
    const { key, value } = row();
    const startMs = performance.now();
    const kinds: string[] = [];
    for (let at = 5; at < value.length; at++) {
      const tail = bomb === undefined ? [] : [bomb, value.subarray(at + 1)];
      const decoded = decoder.decode(key, Buffer.concat([value.subarray(0, at), ...tail]));
      await decoded.catch((error: VerifyError) => kinds.push(error.kind));
    }
    expect(kinds.length).toBeGreaterThan(100);
    expect(new Set(kinds)).toEqual(new Set(['corrupt']));
    expect(performance.now() - startMs).toBeLessThan(30_000);
  });
});
