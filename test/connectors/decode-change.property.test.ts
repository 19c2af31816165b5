import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { goldenRecords, resolveGolden } from './golden-records.ts';

const kinds = ['upsert', 'delete', 'tombstone', 'truncate', 'reject'];
const users = goldenRecords.filter(({ topic }) => topic === 'app.public.users');
const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });

function damaged(bytes: Uint8Array | null, changes: [number, number][]): Uint8Array | null {
  if (bytes === null) return null;
  const copy = bytes.slice();
  for (const [at, byte] of changes) copy[at % copy.length] = byte;
  return copy;
}

describe('a damaged change event', () => {
  const decoder = createChangeDecoder({ resolve: resolveGolden });

  it('is a change or a reject, never an exception', () => {
    fc.assert(
      fc.property(fc.constantFrom(...users), damage, damage, ({ record }, inKey, inValue) => {
        const change = decoder.decode({
          key: damaged(record.key, inKey),
          value: damaged(record.value, inValue),
        });
        expect(kinds).toContain(change.kind);
      }),
      { numRuns: 500 },
    );
  });

  it('that was cut short is a reject', () => {
    fc.assert(
      fc.property(fc.constantFrom(...users), fc.nat(), ({ record }, cut) => {
        fc.pre(record.value !== null);
        const value = record.value?.slice(0, cut % record.value.length) ?? null;
        expect(decoder.decode({ ...record, value }).kind).toBe('reject');
      }),
    );
  });
});
