import type { Requests, Round, TableName } from './round.ts';

/** Where the named requests of the commit path go, for the tables that are configured at the moment. */
export function requestsOf(names: () => Round['names']): Requests {
  const nameOf = (table: TableName): string => names()[table];
  const catalog = (method: string, table: TableName) => ({
    peer: 'catalog' as const,
    method,
    path: new RegExp(`/tables/${nameOf(table)}(\\?|$)`),
  });
  const put = (table: TableName, rest: string) => ({
    peer: 's3' as const,
    method: 'PUT',
    path: new RegExp(`/${nameOf(table)}(-[0-9a-f]+)?/${rest}`),
  });
  return {
    loadTable: (table) => catalog('GET', table),
    commit: (table) => catalog('POST', table),
    dataFile: (table) => put(table, 'data/.*\\.parquet'),
    manifest: (table) => put(table, 'metadata/.*-m\\d+\\.avro'),
    manifestList: (table) => put(table, 'metadata/snap-.*\\.avro'),
    catalogConfig: { peer: 'catalog', method: 'GET', path: /\/v1\/config/ },
    storeGroupOffsets: { peer: 'kafka', method: 'OffsetCommit' },
    fetch: { peer: 'kafka', method: 'Fetch' },
  };
}
