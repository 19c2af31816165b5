import type { ConnectClient, ConnectorState } from '../../connectors/connect-client.ts';
import type { ConnectorsConfig } from '../../connectors/connectors-config.ts';
import type { TopicAdmin } from '../../connectors/kafka-admin.ts';
import { createMemoryTopicAdmin } from '../../connectors/memory-topic-admin.ts';
import type { ConnectorConfig } from '../../connectors/postgres.ts';
import { notificationTopic, signalTopic } from '../../connectors/topics.ts';

/** A worker in memory whose tasks go through the given states, the last one for ever. */
export function memoryConnect(
  states: ConnectorState[],
  trace?: string,
): ConnectClient & { restarts: number } {
  const configs = new Map<string, ConnectorConfig>();
  return {
    restarts: 0,
    readConfig: async (connector) => configs.get(connector),
    writeConfig: async (connector, written) => void configs.set(connector, written),
    async readStatus(connector) {
      if (!configs.has(connector)) return undefined;
      const state = (states.length > 1 ? states.shift() : states[0]) ?? 'RUNNING';
      const failure = state === 'FAILED' ? trace : undefined;
      return {
        connector: { state: 'RUNNING', trace: undefined },
        tasks: [{ taskId: 0, state, trace: failure }],
      };
    },
    async restartFailed() {
      this.restarts++;
    },
    restart: async () => {},
    stop: async () => {},
    resume: async () => {},
    readOffset: async () => undefined,
    resetOffsets: async () => {},
  };
}

/** Notifications as JSON converters write them. */
export function notification(
  kind: 'Initial Snapshot' | 'Incremental Snapshot',
  type: string,
  details: Record<string, string> = {},
  id = 'n',
): { key: string; value: string } {
  const value = { id, aggregate_type: kind, type, additional_data: details };
  return { key: '{}', value: JSON.stringify(value) };
}

/** A source of notifications that obeys the signals which `obey` takes. */
export function memoryDebezium(
  config: ConnectorsConfig,
  obey: (table: string) => string | undefined,
): TopicAdmin {
  const topics = createMemoryTopicAdmin();
  return {
    ...topics,
    async appendRecord(topic, record) {
      await topics.appendRecord(topic, record);
      if (topic !== signalTopic(config)) return;
      const { id, data } = JSON.parse(record.value) as {
        id: string;
        data: { 'data-collections': string[] };
      };
      const tell = (type: string, details: Record<string, string>): Promise<void> => {
        const told = notification('Incremental Snapshot', type, details, id);
        return topics.appendRecord(notificationTopic(config), told);
      };
      for (const table of data['data-collections']) {
        const status = obey(table);
        if (status === undefined) return;
        const details = { scanned_collection: table, status, total_rows_scanned: '7' };
        await tell('TABLE_SCAN_COMPLETED', details);
      }
      await tell('COMPLETED', {});
    },
  };
}
