import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../enrich/state/byte-writer.ts';
import { ValueRefused, canonicalValue, columnCodec } from '../../../enrich/state/column-codec.ts';

function roundTrip(type: PrimitiveType, value: unknown): unknown {
  const writer = new ByteWriter(4);
  const codec = columnCodec(type);
  codec.write(writer, value);
  const head = writer.bytes[0] ?? 0;
  expect(head).toBe(writer.length);
  return codec.read(writer.bytes.subarray(1, writer.length));
}

const long = 2n ** 63n - 1n;
const uuid = '6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';

describe('a column value', () => {
  it.each<[PrimitiveType, unknown, unknown]>([
    ['string', '', ''],
    ['string', 'Zürich 🚲', 'Zürich 🚲'],
    ['int', -(2 ** 31), -(2 ** 31)],
    ['int', 7n, 7],
    ['date', 20_000, 20_000],
    ['long', long, long],
    ['long', -5, -5n],
    ['time', 86_399_999_999n, 86_399_999_999n],
    ['timestamp', -1n, -1n],
    ['timestamptz', 1_795_380_057_426_000n, 1_795_380_057_426_000n],
    ['float', 1.5, 1.5],
    ['double', Number.NaN, Number.NaN],
    ['double', -0, -0],
    ['boolean', false, false],
    ['boolean', true, true],
    ['binary', Uint8Array.of(0, 255), Uint8Array.of(0, 255)],
    ['fixed[2]', Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
    ['uuid', uuid, new Uint8Array(Buffer.from(uuid.replaceAll('-', ''), 'hex'))],
    ['decimal(12, 2)', { unscaled: 1999n, scale: 2 }, 1999n],
    ['decimal(12, 2)', { unscaled: 5n, scale: 0 }, 500n],
    ['decimal(12, 2)', { unscaled: -12_300n, scale: 4 }, -123n],
    ['decimal(12, 2)', { unscaled: 12n, scale: -3 }, 1_200_000n],
    ['decimal(12, 2)', '-19.9', -1990n],
    ['decimal(4, 0)', 9_999n, 9_999n],
    ['decimal(4, 0)', -12, -12n],
  ])('of type %s takes %s', (type, value, stored) => {
    expect(roundTrip(type, value)).toEqual(stored);
  });

  it.each<[PrimitiveType, unknown, RegExp]>([
    ['string', 5, /number 5 is no string/],
    ['int', 2 ** 31, /is no int/],
    ['int', 1.5, /number 1.5 is no int/],
    ['long', 2n ** 63n, /is no long/],
    ['long', 2 ** 53, /is no long/],
    ['long', '5', /text of 1 characters is no long/],
    ['double', 5n, /is no double/],
    ['boolean', 1, /is no boolean/],
    ['binary', 'x', /is no binary/],
    ['fixed[2]', Uint8Array.of(1), /1 bytes is no fixed/],
    ['uuid', 'no', /is no uuid/],
    ['decimal(4, 2)', { unscaled: 10_000n, scale: 2 }, /decimal 10000e-2 is no decimal\(4, 2\)/],
    ['decimal(4, 2)', { unscaled: 1_005n, scale: 3 }, /is no decimal/],
    ['decimal(4, 2)', { unscaled: 1n, scale: -1_000_000_000 }, /is no decimal/],
    ['decimal(4, 2)', 1.5, /is no decimal/],
    ['decimal(4, 2)', 'abc', /is no decimal/],
  ])('of type %s refuses %s and writes nothing', (type, value, message) => {
    const writer = new ByteWriter(4);
    expect(() => columnCodec(type).write(writer, value)).toThrow(ValueRefused);
    expect(() => columnCodec(type).write(writer, value)).toThrow(message);
    expect(writer.length).toBe(0);
  });

  it('keeps its meaning when the scale of its column grows', () => {
    const stored = canonicalValue('decimal(12, 2)', roundTrip('decimal(12, 2)', '1.25') as bigint);
    expect(roundTrip('decimal(12, 4)', stored)).toBe(12_500n);
  });
});
