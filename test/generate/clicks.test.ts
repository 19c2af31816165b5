import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import { readSchemaId } from '../../connectors/framing.ts';
import { CORRUPT_KINDS, VIOLATING_AVRO_SCHEMA } from '../../generate/corrupt.ts';
import { deviceId, urlText } from '../../generate/dimension-rows.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import {
  CLICK_SCHEMA_ID,
  clickContract,
  clickSource,
  smallShape,
  VIOLATING_SCHEMA_ID,
} from './click-contract.ts';

const NOW_MS = 1_800_000_000_000;
const onlyGood = { ...smallShape, shares: { ...smallShape.shares, corrupt: 0 } };

describe('clicks', () => {
  it('repeat for the same seed, byte for byte', () => {
    const [a, b] = [clickSource(9).next(300, NOW_MS), clickSource(9).next(300, NOW_MS)];
    expect(a).toEqual(b);
    expect(clickSource(10).next(300, NOW_MS)).not.toEqual(a);
  });

  it('carry in their bytes what the batch says', () => {
    const batch = clickSource(9, onlyGood).next(500, NOW_MS);
    const type = avsc.Type.forSchema(clickContract.avroSchema as avsc.Schema, {
      logicalTypes: {},
    });
    for (const [i, value] of batch.value.entries()) {
      expect(value?.readInt32BE(1)).toBe(CLICK_SCHEMA_ID);
      expect(type.fromBuffer((value ?? Buffer.alloc(5)).subarray(5))).toMatchObject({
        event_time: batch.eventTimeMs[i],
        user_id: batch.userId[i],
        url: batch.url[i],
        device_id: batch.deviceId[i],
        session_id: batch.sessionId[i],
      });
    }
  });

  it('stay whole when the batch after them fills the memory', () => {
    const source = clickSource(9, onlyGood);
    const first = source.next(10, NOW_MS);
    const before = first.value.map((value) => value?.toString('hex'));
    source.next(20_000, NOW_MS);
    expect(first.value.map((value) => value?.toString('hex'))).toEqual(before);
  });

  it('come with all the shares that were asked for', () => {
    const batch = clickSource(9, onlyGood).next(20_000, NOW_MS);
    const count = (is: (i: number) => boolean): number => batch.url.filter((_, i) => is(i)).length;
    expect(count((i) => (batch.userId[i] ?? 0) > smallShape.users)).toBeGreaterThan(100);
    expect(count((i) => NOW_MS - (batch.eventTimeMs[i] ?? 0) > 86_400_000)).toBeGreaterThan(100);
    expect(count((i) => /^HTTPS|#/.test(batch.url[i] ?? ''))).toBeGreaterThan(500);
    expect(batch.url.filter((url) => url === urlText(9, smallShape.urls + 1)).length).toBeLessThan(
      5,
    );
    const known = new Set(Array.from({ length: smallShape.devices }, (_, i) => deviceId(9, i + 1)));
    const unknown = batch.deviceId.filter((id) => !known.has(id)).length;
    expect(unknown).toBeGreaterThan(100);
    expect(unknown).toBeLessThan(400);
  });

  it('keep a user on few devices and in one partition', () => {
    const batch = clickSource(9, onlyGood).next(20_000, NOW_MS);
    const mine = batch.userId.flatMap((user, i) => (user === 1 ? [i] : []));
    expect(new Set(mine.map((i) => batch.partition[i])).size).toBe(1);
    const own = new Set([1, 501].map((number) => deviceId(9, number)));
    const onOwn = mine.filter((i) => own.has(batch.deviceId[i] ?? ''));
    expect(onOwn.length / mine.length).toBeGreaterThan(0.8);
  });
});

describe('corrupt clicks', () => {
  it.each(CORRUPT_KINDS)('of kind %s are refused as that kind', (kind) => {
    const shape = {
      ...smallShape,
      shares: { ...smallShape.shares, corrupt: 1 },
      corruptKinds: [kind],
    };
    const batch = clickSource(9, shape).next(200, NOW_MS);
    expect(batch.value.map((value) => refusalOf(value))).toEqual(batch.kind);
    expect(new Set(batch.kind)).toEqual(new Set([kind]));
  });
});

/** What a reader that knows the two schemas makes of the value. */
function refusalOf(value: Buffer | null): string {
  if (value === null) return 'null-value';
  const schemaId = readSchemaId(value, 0, value.length);
  if (schemaId < 0) return 'no-magic-byte';
  const writer = new Map<number, AvroObject>([
    [CLICK_SCHEMA_ID, clickContract.avroSchema],
    [VIOLATING_SCHEMA_ID, VIOLATING_AVRO_SCHEMA],
  ]).get(schemaId);
  if (writer === undefined) return 'unknown-schema-id';
  const decoder = createRowDecoder(clickContract, writer);
  const failure = decoder.append(value, 5, value.length, createRowBuffer(clickContract, 4));
  return failure?.kind ?? 'good';
}
