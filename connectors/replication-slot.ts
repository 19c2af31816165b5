import type { SourceOffset } from './connect-client.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { withSource } from './source-client.ts';
import type { Unreachable } from './source-client.ts';

/** The replication slot as the database has it; LSNs as numbers. */
export type SlotState =
  | { kind: 'missing'; currentLsn: bigint }
  | {
      kind: 'present';
      active: boolean;
      /** `reserved`, `extended`, `unreserved` or `lost`. */
      walStatus: string;
      /** Where streaming starts; null in a slot that was never read. */
      confirmedLsn: bigint | null;
      /** The end of the database's log. */
      currentLsn: bigint;
    };

/** Why the connector cannot go on without missing changes, and the way out. */
export type SlotTrouble = {
  /** `lost`: the slot lost its place; `rewound`: the database's log ends before what was read of it. */
  kind: 'lost' | 'rewound';
  message: string;
};

const slotQuery = `
  select s.active, s.wal_status as "walStatus",
    (s.confirmed_flush_lsn - '0/0'::pg_lsn)::text as confirmed,
    (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end
      - '0/0'::pg_lsn)::text as current
  from (select) as one left join pg_replication_slots s on s.slot_name = $1`;

type SlotRow = {
  active: boolean | null;
  walStatus: string | null;
  confirmed: string | null;
  current: string;
};

/** Looks at the slot as Debezium's role. Errors: `config` where PostgreSQL refuses the role. */
export async function readSlot(config: ConnectorsConfig): Promise<SlotState | Unreachable> {
  return withSource(config, async (client) => {
    const { rows } = await client.query<SlotRow>(slotQuery, [config.database.slot]);
    const { active = null, walStatus = null, confirmed = null, current = '0' } = rows[0] ?? {};
    const currentLsn = BigInt(current);
    if (active === null) return { kind: 'missing', currentLsn };
    const confirmedLsn = confirmed === null ? null : BigInt(confirmed);
    return { kind: 'present', active, walStatus: walStatus ?? '', confirmedLsn, currentLsn };
  });
}

const dropQuery =
  'select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1';
/** SQLSTATE of a slot whose reader has not gone yet. */
const objectInUse = '55006';

/** Drops the slot where there is one. Errors: `unavailable` while it is read, or the database is away. */
export async function dropSlot(config: ConnectorsConfig): Promise<void> {
  const { slot } = config.database;
  const refusal = await withSource(config, async (client) => {
    try {
      await client.query(dropQuery, [slot]);
      return undefined;
    } catch (error) {
      if ((error as { code?: unknown }).code !== objectInUse) throw error;
      return { message: `slot ${slot} is still being read` };
    }
  });
  if (refusal !== undefined) throw new ConnectorsError('unavailable', refusal.message);
}

/** What was seen of a slot and of the place that the connector has stored. */
export type SlotLook = {
  slot: SlotState;
  /** The place as it was stored before the slot was looked at. */
  before: SourceOffset | undefined;
  /** The place as it was stored after. */
  after: SourceOffset | undefined;
  runs: boolean;
};

/**
 * What is wrong between the slot and the place that the connector has stored. A slot ahead of that place was
 * made anew by somebody; while the connector runs, it may be ahead for a moment. The place never passes the log's
 * end, and the slot never passes the place, but all three move on while they are looked at: so the log's end is
 * held against the place as it was before, and the slot against the place as it was after.
 */
export function slotTrouble(
  config: ConnectorsConfig,
  { slot, before, after, runs }: SlotLook,
): SlotTrouble | undefined {
  const name = `slot ${config.database.slot}`;
  const readTo = storedLsn(before);
  const readSince = storedLsn(after);
  if (readTo === undefined || readSince === undefined) return undefined;
  if (slot.currentLsn < readTo) {
    return {
      kind: 'rewound',
      message:
        `the database's log ends at ${lsnText(slot.currentLsn)}, and was read up to ${lsnText(readTo)}: it was ` +
        'restored, or is another database. Its changes would count as old. Follow it under another topics.prefix, ' +
        'see docs/operations.md',
    };
  }
  const lost = lostPlace(slot, readSince, runs);
  if (lost === undefined) return undefined;
  return {
    kind: 'lost',
    message:
      `${name} ${lost}: what was changed in the database after ${lsnText(readSince)} may be in no topic. ` +
      'Run: tributary connectors resnapshot --all',
  };
}

function lostPlace(slot: SlotState, readTo: bigint, runs: boolean): string | undefined {
  if (slot.kind === 'missing') return 'does not exist any more';
  if (slot.walStatus === 'lost') return 'has lost its place, since it held too much of the log';
  const { confirmedLsn } = slot;
  const isAhead = !runs && confirmedLsn !== null && confirmedLsn > readTo;
  return isAhead ? `was made anew, it starts at ${lsnText(confirmedLsn)}` : undefined;
}

/** How far the connector has come, as it has stored it; undefined before it has stored anything. */
export function storedLsn(offset: SourceOffset | undefined): bigint | undefined {
  const lsn = offset?.['lsn'];
  return typeof lsn === 'number' ? BigInt(lsn) : undefined;
}

/** As PostgreSQL writes it. */
function lsnText(lsn: bigint): string {
  const halves = [lsn >> 32n, lsn & 0xffff_ffffn];
  return halves.map((half) => half.toString(16).toUpperCase()).join('/');
}
