import { describe, expect, it } from 'vitest';
import { createMemoryCatalog } from '../../catalog/memory/memory-catalog.ts';
import { createMemoryStore } from '../../catalog/memory/memory-store.ts';
import type { Catalog, TableIdentifier } from '../../catalog/rest/catalog.ts';
import type { TableMetadata } from '../../catalog/spec/table-metadata.ts';
import { openTableSource } from '../../verify/open-table-source.ts';

const TABLE: TableIdentifier = { namespace: ['lake'], name: 'clicks' };
const DEAD_LETTER: TableIdentifier = { namespace: ['lake'], name: 'clicks_dead_letter' };

/** A catalog whose events table gets a new head at each of the first `commits` loads. */
async function busyCatalog(commits: number): Promise<Catalog> {
  let uuids = 0;
  const catalog = createMemoryCatalog({
    clock: { nowMs: () => 0 },
    uuid: () => `00000000-0000-4000-8000-00000000000${(uuids += 1)}`,
  });
  await catalog.ensureNamespace(['lake']);
  await catalog.createTable({
    identifier: TABLE,
    schema: { schemaId: 0, fields: [{ id: 1, name: 'n', required: false, type: 'int' }] },
    partitionSpec: { specId: 0, fields: [] },
    sortOrder: { orderId: 0, fields: [] },
    properties: {},
  });
  let loads = 0;
  const headOf = (metadata: TableMetadata): TableMetadata => ({
    ...metadata,
    currentSnapshotId: BigInt(Math.min(loads, commits)),
  });
  return {
    ...catalog,
    async loadTable(identifier) {
      const loaded = await catalog.loadTable(identifier);
      if (loaded === undefined || identifier !== TABLE) return loaded;
      loads += 1;
      return { ...loaded, metadata: headOf(loaded.metadata) };
    },
  };
}

const open = async (catalog: Catalog) =>
  openTableSource({ catalog, store: createMemoryStore(), table: TABLE, deadLetter: DEAD_LETTER });

describe('the tables of one moment', () => {
  it('are loaded again when a commit fell in between', async () => {
    const source = await open(await busyCatalog(4));
    expect(source.events.currentSnapshotId).toBe(4n);
    expect(source.deadLetter).toBeUndefined();
  });

  it('are given up where commits never pause', async () => {
    await expect(open(await busyCatalog(1_000))).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('need an events table', async () => {
    const catalog = createMemoryCatalog({ clock: { nowMs: () => 0 }, uuid: () => '' });
    await expect(open(catalog)).rejects.toMatchObject({ kind: 'config' });
  });
});
