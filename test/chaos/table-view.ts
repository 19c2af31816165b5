import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { Admin } from 'kafkajs';
import { recordedState } from '../../verify/recorded.ts';
import { until } from '../pipeline/command.ts';
import type { Processes } from './processes.ts';
import type { Round } from './round.ts';

type TableView = Pick<
  Round,
  'metadata' | 'position' | 'committed' | 'lag' | 'nextCommit' | 'caughtUp'
>;

const waitMsDefault = 60_000;

/** What the tables and the topic say, seen without the pipeline's own code. */
export function openTableView(options: {
  names: () => Round['names'];
  admin: Admin;
  catalog: Catalog;
  processes: Processes;
}): TableView {
  const { names, admin, catalog, processes } = options;
  const { mustBeAlive } = processes.forRound;
  const metadata: Round['metadata'] = async (table = 'events') => {
    const name = names()[table];
    return (await catalog.loadTable({ namespace: ['lake'], name }))?.metadata;
  };
  const position = async (): Promise<ReadonlyMap<number, bigint>> => {
    const { pipeline } = names();
    const table = await metadata();
    const hasStarted = table?.properties[`tributary.${pipeline}`] !== undefined;
    return table !== undefined && hasStarted ? recordedState(table, pipeline).next : new Map();
  };
  const committed = async (): Promise<number> =>
    [...(await position()).values()].reduce((sum, next) => sum + Number(next), 0);
  const lag = async (): Promise<bigint> => {
    const ends = await admin.fetchTopicOffsets(names().topic);
    const next = await position();
    return ends.reduce(
      (sum, { partition, high }) => sum + BigInt(high) - (next.get(partition) ?? 0n),
      0n,
    );
  };
  return {
    metadata,
    position,
    committed,
    lag,
    nextCommit: async (waitMsMax = waitMsDefault) => {
      const before = await committed();
      await until(
        'a commit lands',
        async () => {
          mustBeAlive();
          return (await committed()) > before;
        },
        waitMsMax,
      );
    },
    caughtUp: (waitMsMax = waitMsDefault) =>
      until(
        'every record is committed',
        async () => {
          mustBeAlive();
          return (await lag()) === 0n;
        },
        waitMsMax,
      ),
  };
}
