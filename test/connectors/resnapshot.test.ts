import { describe, expect, it } from 'vitest';
import { applyConnectors } from '../../connectors/apply.ts';
import type { ApplyOptions } from '../../connectors/apply.ts';
import type { ConnectClient } from '../../connectors/connect-client.ts';
import { debeziumPostgresConfig } from '../../connectors/postgres.ts';
import type { SlotState } from '../../connectors/replication-slot.ts';
import { resnapshotTables } from '../../connectors/resnapshot.ts';
import type { ResnapshotOptions } from '../../connectors/resnapshot.ts';
import { readConnectorsStatus } from '../../connectors/status.ts';
import { createMemoryRegistry } from '../../schemas/memory-registry.ts';
import { connectorsConfig } from './connectors-sample.ts';
import { memoryConnect, memoryDebezium } from './memory-debezium.ts';

const config = connectorsConfig({ password: 'hunter2-secret' });
const users = 'public.users';

const slotAt = (lsn: number): SlotState => ({
  kind: 'present',
  active: true,
  walStatus: 'reserved',
  confirmedLsn: BigInt(lsn),
  currentLsn: BigInt(lsn),
});

/** A connector as `apply` leaves it, in front of topics without rows. Its source moves on with each look at it. */
function options(connect: ConnectClient): ResnapshotOptions & ApplyOptions {
  let nowMs = 0;
  let lsn = 100;
  connect.readOffset = async () => ({ lsn: (lsn += 10) });
  return {
    config,
    tables: [users],
    connect,
    topics: memoryDebezium(config, () => 'SUCCEEDED'),
    log: { bounds: async () => new Map(), read: async () => undefined },
    checkSource: async () => ({ kind: 'ready', warnings: [] }),
    readSlot: async () => slotAt((lsn += 10)),
    dropSlot: async () => undefined,
    findRows: async () => new Set(),
    loadSchema: async () => undefined,
    levels: createMemoryRegistry(),
    clock: { elapsedMs: () => nowMs, sleep: async (ms) => void (nowMs += ms) },
    onProgress: () => undefined,
  };
}

/** A connector whose resnapshot of these tables was cut short. */
async function withDue(tables: string): Promise<ResnapshotOptions & ApplyOptions> {
  const given = options(memoryConnect(['RUNNING']));
  await applyConnectors(given);
  await given.connect.writeConfig(config.connector, {
    ...debeziumPostgresConfig(config),
    'snapshot.mode': 'no_data',
    'tributary.resnapshot.due': tables,
  });
  return given;
}

describe('a source that moves on while it is looked at', () => {
  it.each(['RUNNING', 'UNASSIGNED'] as const)('has missed nothing: task %s', async (state) => {
    const given = options(memoryConnect([state]));
    await given.connect.writeConfig(config.connector, debeziumPostgresConfig(config));
    const report = await readConnectorsStatus(given);
    expect(report).toMatchObject({ missed: [], slot: { kind: 'present' } });
  });

  it('is read again without a new slot', async () => {
    const given = options(memoryConnect(['RUNNING']));
    await applyConnectors(given);
    let dropped = 0;
    await resnapshotTables({ ...given, dropSlot: async () => void dropped++ });
    expect(dropped).toBe(0);
  });
});

describe('a resnapshot that was cut short', () => {
  it('holds up nothing once its tables have left connectors.yaml', async () => {
    const given = await withDue('public.left');
    const report = await readConnectorsStatus(given);
    expect(report).toMatchObject({ missed: [], asWanted: false });
    expect(report.differences).toContain('snapshot.mode');
    await applyConnectors(given);
    expect(await given.connect.readConfig(config.connector)).toEqual(
      debeziumPostgresConfig(config),
    );
  });

  it('asks for those of its tables that are still there, and is done with them', async () => {
    const given = await withDue(`public.left,${users}`);
    await expect(applyConnectors(given)).rejects.toThrow(`changes of ${users} were lost`);
    await resnapshotTables(given);
    expect((await readConnectorsStatus(given)).asWanted).toBe(true);
  });
});

describe('resnapshot', () => {
  it('waits for Connect to store a place behind all that was read', async () => {
    const given = options(memoryConnect(['RUNNING']));
    await applyConnectors(given);
    let polls = 0;
    let stored = 100;
    given.connect.readOffset = async () => ({ lsn: (stored = polls++ < 6 ? 100 : 300) });
    const seen: number[] = [];
    const bounds: ResnapshotOptions['log']['bounds'] = async () => {
      seen.push(stored);
      return new Map();
    };
    const readSlot = async () => slotAt(stored + 100);
    await resnapshotTables({ ...given, readSlot, log: { ...given.log, bounds } });
    const [before, after] = seen;
    expect([before, after]).toEqual([100, 300]);
  });

  it('says where it must run when the connector fails and the database is out of reach', async () => {
    const given = options(
      memoryConnect(['FAILED'], 'the slot is no longer available on the server'),
    );
    await given.connect.writeConfig(config.connector, debeziumPostgresConfig(config));
    given.readSlot = async () => ({ kind: 'unreachable', message: 'PostgreSQL is away' });
    const failure = resnapshotTables(given);
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(
      'not checked, PostgreSQL is away: if it has lost its place, run ' +
        '`tributary connectors resnapshot --all` where the database can be reached',
    );
  });
});
