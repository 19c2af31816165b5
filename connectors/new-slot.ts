import { isRunning, stopConnector, whenReachable } from './connector-runs.ts';
import type { ConnectorWait } from './connector-runs.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { debeziumPostgresConfig } from './postgres.ts';
import type { ConnectorConfig } from './postgres.ts';
import { slotTrouble } from './replication-slot.ts';
import type { SlotState, SlotTrouble } from './replication-slot.ts';
import type { Unreachable } from './source-client.ts';

/** The replication slot in the database, see `readSlot` and `dropSlot`. */
export type SlotAccess = {
  read: (config: ConnectorsConfig) => Promise<SlotState | Unreachable>;
  drop: (config: ConnectorsConfig) => Promise<void>;
};

/** In the connector's configuration, which outlives us: tables whose rows are still to be read again. */
const dueSetting = 'tributary.resnapshot.due';

/** The tables that a resnapshot which was cut short has still to read; none otherwise. */
export function dueTables(present: ConnectorConfig | undefined): string[] {
  return (present?.[dueSetting] ?? '').split(',').filter((table) => table !== '');
}

/** What is wrong with the slot; undefined also where the database is out of reach, which is told. */
export async function inspectSlot(
  options: ConnectorWait & { slot: SlotAccess },
): Promise<SlotTrouble | undefined> {
  const { config, connect, slot, onProgress } = options;
  const state = await slot.read(config);
  if (state.kind === 'unreachable') {
    onProgress(`slot: not checked, ${state.message}`);
    return undefined;
  }
  const offset = await whenReachable(options, () => connect.readOffset(config.connector));
  const status = await whenReachable(options, () => connect.readStatus(config.connector));
  return slotTrouble(config, { slot: state, offset, runs: isRunning(status) });
}

/**
 * Has the connector go on from a new slot, without reading any row: what it missed is to be read again. That it is
 * due is written first, so that no crash makes it forgotten.
 */
export async function beginNewSlot(
  options: ConnectorWait & { slot: SlotAccess },
  trouble: SlotTrouble,
): Promise<void> {
  const { config, connect, slot, onProgress } = options;
  onProgress(trouble.message);
  onProgress(`connector ${config.connector}: goes on from a new slot`);
  await stopConnector(options);
  await whenReachable(options, () =>
    connect.writeConfig(config.connector, {
      ...debeziumPostgresConfig(config),
      'snapshot.mode': 'no_data',
      [dueSetting]: config.tables.join(','),
    }),
  );
  await whenReachable(options, () => slot.drop(config));
  await whenReachable(options, () => connect.resetOffsets(config.connector));
}

/** All has been read: gives the connector its own configuration back. */
export async function forgetDue(options: ConnectorWait): Promise<void> {
  const { config, connect } = options;
  const present = await whenReachable(options, () => connect.readConfig(config.connector));
  if (dueTables(present).length === 0) return;
  await whenReachable(options, () =>
    connect.writeConfig(config.connector, debeziumPostgresConfig(config)),
  );
}

/** Errors: `config` while a resnapshot is due, whose mark another configuration would wipe out. */
export function refuseDue(present: ConnectorConfig | undefined): void {
  const due = dueTables(present);
  if (due.length === 0) return;
  throw new ConnectorsError('config', dueMessage(due), { context: { due } });
}

export function dueMessage(due: readonly string[]): string {
  return (
    `changes of ${due.join(', ')} were lost, and their rows are still to be read again. ` +
    'Run: tributary connectors resnapshot --all'
  );
}
