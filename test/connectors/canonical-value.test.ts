import { describe, expect, it } from 'vitest';
import { normaliserFor, parseInstant, readUnscaled } from '../../connectors/canonical-value.ts';

const debezium = (name: string): string => `io.debezium.time.${name}`;
const connect = (name: string): string => `org.apache.kafka.connect.data.${name}`;
const normalise = (name: string, value: unknown, scale?: number): unknown =>
  normaliserFor({ name, scale })?.(value);

describe('every time mode of Debezium', () => {
  const instant = 1_772_359_200_123_456n;

  it.each([
    [debezium('Timestamp'), 1_772_359_200_123n, 1_772_359_200_123_000n],
    [connect('Timestamp'), 1_772_359_200_123n, 1_772_359_200_123_000n],
    [debezium('MicroTimestamp'), instant, instant],
    [debezium('NanoTimestamp'), 1_772_359_200_123_456_789n, instant],
    [debezium('NanoTimestamp'), -1n, -1n],
    [debezium('ZonedTimestamp'), '2026-03-01T10:00:00.123456Z', instant],
    [debezium('ZonedTimestamp'), '2026-03-01T11:30:00.123456+01:30', instant],
    [debezium('IsoTimestamp'), '2026-03-01T10:00:00.123456789', instant],
    [debezium('Time'), 36_672_500, 36_672_500_000n],
    [connect('Time'), 36_672_500, 36_672_500_000n],
    [debezium('MicroTime'), 36_672_500_000n, 36_672_500_000n],
    [debezium('NanoTime'), 36_672_500_000_999n, 36_672_500_000n],
    [debezium('ZonedTime'), '10:11:12.5Z', 36_672_500_000n],
    [debezium('ZonedTime'), '00:30:00+01:00', 84_600_000_000n],
    [debezium('IsoTime'), '10:11:12.500', 36_672_500_000n],
    [debezium('Date'), 20_513, 20_513],
    [connect('Date'), 20_513, 20_513],
    [debezium('IsoDate'), '2026-03-01', 20_513],
    [debezium('MicroTimestamp'), 9_223_372_036_825_200_000n, 253_402_300_799_999_999n],
    [debezium('Date'), 2_147_483_647, 2_932_896],
    [debezium('MicroDuration'), 86_400_000_000n, 86_400_000_000n],
  ])('%s %s is %s', (name, value, expected) => {
    expect(normalise(name, value)).toBe(expected);
  });

  it.each(['', 'yesterday', '2026-03-01', '26-03-01T10:00:00Z'])('%j is no instant', (text) => {
    expect(() => parseInstant(text)).toThrow('not an ISO time');
  });
});

describe('instants far away', () => {
  it.each([
    ['1969-12-31T23:59:59.999999Z', -1n],
    ['2000-02-29T00:00:00Z', BigInt(Date.UTC(2000, 1, 29)) * 1000n],
    ['1900-03-01T00:00:00Z', BigInt(Date.UTC(1900, 2, 1)) * 1000n],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000_000n],
    ['9999-12-31T23:59:59.999999Z', 253_402_300_799_999_999n],
    ['+292278994-08-17T07:12:55.807Z', 253_402_300_799_999_999n],
    ['-0043-03-15T00:00:00Z', -62_135_596_800_000_000n],
    ['infinity', 253_402_300_799_999_999n],
    ['-infinity', -62_135_596_800_000_000n],
  ])('%s is %d µs', (text, micros) => {
    expect(parseInstant(text)).toBe(micros);
  });
});

describe('decimals', () => {
  it.each([
    ['01e23a', 123_450n],
    ['ff', -1n],
    ['00ff', 255n],
    ['8000000000000000', -(2n ** 63n)],
    ['', 0n],
  ])('the bytes %s are %d', (hex, unscaled) => {
    expect(readUnscaled(Uint8Array.from(Buffer.from(hex, 'hex')))).toBe(unscaled);
  });

  it('keep the scale of their schema, or of their struct', () => {
    expect(normalise(connect('Decimal'), new Uint8Array([5]), 3)).toEqual({
      unscaled: 5n,
      scale: 3,
    });
    expect(
      normalise('io.debezium.data.VariableScaleDecimal', { scale: 1, value: new Uint8Array([5]) }),
    ).toEqual({ unscaled: 5n, scale: 1 });
  });
});

it.each(['io.debezium.data.Json', 'io.debezium.data.Uuid', 'io.debezium.data.Enum', undefined])(
  'values named %s stand as they are',
  (name) => {
    expect(normaliserFor({ name })).toBeUndefined();
  },
);
