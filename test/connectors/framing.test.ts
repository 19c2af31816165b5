import { describe, expect, it } from 'vitest';
import { framingOf, readSchemaId } from '../../connectors/framing.ts';

describe('the frame', () => {
  it.each([
    [[0, 0, 0, 1, 2], 258],
    [[0, 0x7f, 0xff, 0xff, 0xff, 9], 0x7fffffff],
    [[1, 0, 0, 0, 1], -1],
    [[0, 0, 0, 1], -1],
    [[], -1],
    [[0, 0x80, 0, 0, 0], -1],
  ])('%j has the schema id %d', (bytes, id) => {
    expect(readSchemaId(Uint8Array.from([7, ...bytes]), 1, 1 + bytes.length)).toBe(id);
    const framing = id < 0 ? { kind: 'unknown' } : { kind: 'avro', schemaId: id };
    expect(framingOf(Uint8Array.from(bytes))).toEqual(framing);
  });

  it('is none where the value begins as JSON does', () => {
    expect(framingOf(new TextEncoder().encode('{"a":1}'))).toEqual({ kind: 'json' });
  });
});
