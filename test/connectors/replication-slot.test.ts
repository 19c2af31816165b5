import { describe, expect, it } from 'vitest';
import { slotTrouble } from '../../connectors/replication-slot.ts';
import type { SlotState } from '../../connectors/replication-slot.ts';
import { connectorsConfig } from './connectors-sample.ts';

const config = connectorsConfig({ password: 'secret' });
const present: SlotState = {
  kind: 'present',
  active: true,
  walStatus: 'reserved',
  confirmedLsn: 90n,
  currentLsn: 200n,
};

const troubleOf = (slot: SlotState, { runs = true } = {}) =>
  slotTrouble(config, { slot, before: { lsn: 100 }, after: { lsn: 100 }, runs });

describe('a replication slot', () => {
  it('that stands at or before what was read is right', () => {
    expect(troubleOf(present)).toBeUndefined();
    expect(troubleOf({ ...present, confirmedLsn: 100n }, { runs: false })).toBeUndefined();
    expect(troubleOf({ ...present, confirmedLsn: null })).toBeUndefined();
  });

  it('of which nothing was read yet is right, there or not', () => {
    const nothing = { before: undefined, after: undefined, runs: true };
    expect(slotTrouble(config, { slot: present, ...nothing })).toBeUndefined();
    const missing = { kind: 'missing', currentLsn: 5n } as const;
    const empty = { before: {}, after: {}, runs: false };
    expect(slotTrouble(config, { slot: missing, ...empty })).toBeUndefined();
  });

  it.each<[string, SlotState, RegExp]>([
    ['that is gone', { kind: 'missing', currentLsn: 200n }, /does not exist any more/],
    ['that held too much', { ...present, walStatus: 'lost' }, /held too much of the log/],
    ['that was made anew', { ...present, confirmedLsn: 150n }, /made anew, it starts at 0\/96/],
  ])('%s has lost changes, and the way out is named', (_name, slot, why) => {
    const trouble = troubleOf(slot, { runs: false });
    expect(trouble).toMatchObject({ kind: 'lost', message: expect.stringMatching(why) as unknown });
    expect(trouble?.message).toContain('after 0/64');
    expect(trouble?.message).toContain('tributary connectors resnapshot --all');
  });

  it('may be ahead for a moment while the connector runs', () => {
    expect(troubleOf({ ...present, confirmedLsn: 150n })).toBeUndefined();
  });

  it.each([present, { kind: 'missing', currentLsn: 200n } as const])(
    'of a database whose log ends before what was read is of another life: $kind',
    (slot) => {
      const trouble = troubleOf({ ...slot, currentLsn: 99n });
      expect(trouble).toMatchObject({ kind: 'rewound' });
      expect(trouble?.message).toContain('topics.prefix');
    },
  );
});
