import { describe, expect, it } from 'vitest';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import {
  applyTransform,
  bucketHash,
  parseTransform,
  transformResultType,
} from '../../../catalog/spec/transform.ts';

const day = (iso: string): number => Date.parse(`${iso}T00:00:00Z`) / 86_400_000;
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n;
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

describe('bucket hashes of the table spec, appendix B', () => {
  it.each<[PrimitiveType, Parameters<typeof bucketHash>[1], number]>([
    ['int', 34, 2017239379],
    ['long', 34n, 2017239379],
    ['decimal(9, 2)', 1420n, -500754589],
    ['date', day('2017-11-16'), -653330422],
    ['time', ((22n * 60n + 31n) * 60n + 8n) * 1_000_000n, -662762989],
    ['timestamp', micros('2017-11-16T22:31:08Z'), -2047944441],
    ['timestamp', micros('2017-11-16T22:31:08Z') + 1n, -1207196810],
    ['timestamptz', micros('2017-11-16T14:31:08-08:00'), -2047944441],
    ['string', 'iceberg', 1210000089],
    ['uuid', hex('f79c3e09677c4bbda4793f349cb785e7'), 1488055340],
    ['fixed[4]', hex('00010203'), -188683207],
    ['binary', hex('00010203'), -188683207],
  ])('%s %s', (type, value, hash) => {
    expect(bucketHash(type, value)).toBe(hash);
  });

  it('a bucket is the hash without its sign, modulo the bucket count', () => {
    expect(applyTransform('bucket[16]', 'int', 34)).toBe((2017239379 & 0x7fffffff) % 16);
    expect(applyTransform('bucket[100]', 'fixed[4]', hex('00010203'))).toBe(
      (-188683207 & 0x7fffffff) % 100,
    );
  });
});

describe('applyTransform', () => {
  it.each<[string, PrimitiveType, Parameters<typeof applyTransform>[2], unknown]>([
    ['truncate[10]', 'int', 1, 0],
    ['truncate[10]', 'int', -1, -10],
    ['truncate[10]', 'long', -1n, -10n],
    ['truncate[10]', 'long', 19n, 10n],
    ['truncate[50]', 'decimal(9, 2)', 1065n, 1050n],
    ['truncate[3]', 'string', 'iceberg', 'ice'],
    ['truncate[2]', 'string', 'a😀b', 'a😀'],
    ['truncate[3]', 'binary', hex('0102030405'), hex('010203')],
    ['year', 'date', day('1969-12-31'), -1],
    ['year', 'timestamptz', micros('2017-12-01T10:12:55Z'), 47],
    ['month', 'date', day('2017-12-01'), 575],
    ['month', 'date', day('1969-12-31'), -1],
    ['day', 'date', 17501, 17501],
    ['day', 'timestamp', micros('2017-12-01T10:12:55Z'), 17501],
    ['day', 'timestamp', -1n, -1],
    ['hour', 'timestamp', micros('2017-12-01T10:12:55Z'), 420034],
    ['hour', 'timestamp', -1n, -1],
    ['identity', 'string', 'x', 'x'],
    ['void', 'string', 'x', null],
    ['day', 'timestamp', null, null],
  ])('%s of %s %s', (transform, type, value, expected) => {
    expect(applyTransform(transform, type, value)).toEqual(expected);
  });
});

describe('transformResultType', () => {
  it.each<[string, PrimitiveType, PrimitiveType]>([
    ['identity', 'uuid', 'uuid'],
    ['truncate[4]', 'decimal(9, 2)', 'decimal(9, 2)'],
    ['bucket[4]', 'string', 'int'],
    ['day', 'timestamptz', 'date'],
    ['month', 'date', 'int'],
    ['hour', 'timestamp', 'int'],
    ['void', 'double', 'double'],
  ])('%s of %s is %s', (transform, source, result) => {
    expect(transformResultType(transform, source)).toBe(result);
  });

  it.each<[string, PrimitiveType]>([
    ['hour', 'date'],
    ['day', 'long'],
    ['bucket[4]', 'double'],
    ['truncate[4]', 'uuid'],
  ])('%s does not apply to %s', (transform, source) => {
    expect(() => transformResultType(transform, source)).toThrowError(
      expect.objectContaining({ kind: 'config' }),
    );
  });
});

describe('parseTransform', () => {
  it('reads the argument', () => {
    expect(parseTransform('bucket[16]')).toEqual({ kind: 'bucket', buckets: 16 });
    expect(parseTransform('truncate[7]')).toEqual({ kind: 'truncate', width: 7 });
  });

  it.each(['bucket', 'bucket[0]', 'bucket[-1]', 'truncate[x]', 'days', 'Day', ''])(
    'refuses "%s"',
    (text) => {
      expect(() => parseTransform(text)).toThrowError(expect.objectContaining({ kind: 'config' }));
    },
  );
});
