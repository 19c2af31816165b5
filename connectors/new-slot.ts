import { lookAtSlot, stopConnector, whenReachable } from './connector-runs.ts';
import type { ConnectorWait } from './connector-runs.ts';
import type { ConnectorsConfig } from './connectors-config.ts';
import { ConnectorsError } from './error.ts';
import { debeziumPostgresConfig } from './postgres.ts';
import type { ConnectorConfig } from './postgres.ts';
import type { SlotTrouble } from './replication-slot.ts';

/** In the connector's configuration, which outlives us: tables whose rows are still to be read again. */
const dueSetting = 'tributary.resnapshot.due';

/**
 * The tables that a resnapshot which was cut short has still to read; none otherwise. One that has left
 * connectors.yaml is not read any more, and `apply` refuses it when it comes back.
 */
export function dueTables(
  config: ConnectorsConfig,
  present: ConnectorConfig | undefined,
): string[] {
  const due = new Set(present?.[dueSetting]?.split(','));
  return config.tables.filter((table) => due.has(table));
}

/** What is wrong with the slot; undefined also where the database is out of reach, which is told. */
export async function inspectSlot(options: ConnectorWait): Promise<SlotTrouble | undefined> {
  const look = await whenReachable(options, () => lookAtSlot(options));
  if (look.kind === 'seen') return look.trouble;
  options.onProgress(`slot: not checked, ${look.message}`);
  return undefined;
}

/**
 * Has the connector go on from a new slot, without reading any row: what it missed is to be read again. That it is
 * due is written first, so that no crash makes it forgotten.
 */
export async function beginNewSlot(
  options: ConnectorWait & { dropSlot: (config: ConnectorsConfig) => Promise<void> },
  trouble: SlotTrouble,
): Promise<void> {
  const { config, connect, dropSlot, onProgress } = options;
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
  await whenReachable(options, () => dropSlot(config));
  await whenReachable(options, () => connect.resetOffsets(config.connector));
}

/** All has been read: gives the connector its own configuration back. */
export async function forgetDue(options: ConnectorWait): Promise<void> {
  const { config, connect } = options;
  const present = await whenReachable(options, () => connect.readConfig(config.connector));
  if (present?.[dueSetting] === undefined) return;
  await whenReachable(options, () =>
    connect.writeConfig(config.connector, debeziumPostgresConfig(config)),
  );
}

/** Errors: `config` while a resnapshot is due, whose mark another configuration would wipe out. */
export function refuseDue(config: ConnectorsConfig, present: ConnectorConfig | undefined): void {
  const due = dueTables(config, present);
  if (due.length === 0) return;
  throw new ConnectorsError('config', dueMessage(due), { context: { due } });
}

export function dueMessage(due: readonly string[]): string {
  return (
    `changes of ${due.join(', ')} were lost, and their rows are still to be read again. ` +
    'Run: tributary connectors resnapshot --all'
  );
}
