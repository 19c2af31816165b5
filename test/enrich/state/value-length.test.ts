import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../enrich/state/byte-writer.ts';
import { ValueRefused, columnCodec } from '../../../enrich/state/column-codec.ts';

const MIB = 1024 ** 2;

const write = (type: PrimitiveType, value: unknown) => () =>
  columnCodec(type).write(new ByteWriter(16), value);

describe('the length of a carried value', () => {
  it.each<[string, PrimitiveType, unknown]>([
    ['text', 'string', 'x'.repeat(MIB)],
    ['text of three bytes a character', 'string', '€'.repeat(Math.floor(MIB / 3))],
    ['bytes', 'binary', new Uint8Array(MIB)],
  ])('%s of 1 MiB is taken', (_name, type, value) => {
    expect(write(type, value)).not.toThrow();
  });

  it.each<[string, PrimitiveType, unknown]>([
    ['text', 'string', 'x'.repeat(MIB + 1)],
    ['text of three bytes a character', 'string', '€'.repeat(Math.ceil(MIB / 3))],
    ['bytes', 'binary', new Uint8Array(MIB + 1)],
    ['fixed bytes', `fixed[${MIB + 1}]`, new Uint8Array(MIB + 1)],
  ])('%s above 1 MiB is refused', (_name, type, value) => {
    expect(write(type, value)).toThrow(ValueRefused);
  });
});
