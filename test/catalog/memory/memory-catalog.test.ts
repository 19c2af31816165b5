import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createMemoryCatalog, type CommitFault } from '../../../catalog/memory/memory-catalog.ts';
import { describeCatalog } from '../rest/catalog-contract.ts';
import { append, snapshotOf, tableRequest } from '../rest/table-requests.ts';

const clock = { nowMs: () => 1_795_380_549_287 };

describeCatalog('the in-memory catalog', async () => ({
  catalog: createMemoryCatalog({ clock, uuid: randomUUID }),
  namespace: ['contract'],
}));

test('a table needs its namespace first, so that no caller forgets to ensure it', async () => {
  const catalog = createMemoryCatalog({ clock, uuid: randomUUID });
  const identifier = { namespace: ['nowhere'], name: 't' };
  await expect(catalog.createTable(tableRequest(identifier))).rejects.toMatchObject({
    kind: 'config',
  });
});

describe('commit faults', () => {
  const identifier = { namespace: ['faults'], name: 't' };

  async function tableWithFaults(faults: CommitFault[]) {
    const catalog = createMemoryCatalog({
      clock,
      uuid: randomUUID,
      onCommit: () => faults.shift() ?? 'apply',
    });
    await catalog.ensureNamespace(identifier.namespace);
    const { metadata } = await catalog.createTable(tableRequest(identifier));
    const prepared = catalog.prepareCommit(append(identifier, metadata, snapshotOf(metadata)));
    const snapshotCount = async () =>
      (await catalog.loadTable(identifier))?.metadata.snapshots.length;
    return { catalog, prepared, snapshotCount };
  }

  test('a commit that is lost has an unknown outcome, and the same bytes may be sent again', async () => {
    const { prepared, snapshotCount } = await tableWithFaults(['fail']);
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
    expect(await snapshotCount()).toBe(0);
    await prepared.send();
    expect(await snapshotCount()).toBe(1);
  });

  test('a commit whose answer is lost is in the table', async () => {
    const { prepared, snapshotCount } = await tableWithFaults(['apply-then-fail']);
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
    expect(await snapshotCount()).toBe(1);
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'conflict' });
    expect(await snapshotCount()).toBe(1);
  });

  test('a commit that is repeated on the way lands once and is answered as a conflict', async () => {
    const { prepared, snapshotCount } = await tableWithFaults(['apply-twice']);
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'conflict' });
    expect(await snapshotCount()).toBe(1);
  });

  test('an injected conflict applies nothing', async () => {
    const { prepared, snapshotCount } = await tableWithFaults(['conflict']);
    await expect(prepared.send()).rejects.toMatchObject({ kind: 'conflict' });
    expect(await snapshotCount()).toBe(0);
  });

  test('a delayed commit arrives later, unless its resend was faster', async () => {
    const late = await tableWithFaults(['delay']);
    await expect(late.prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
    expect(await late.snapshotCount()).toBe(0);
    expect(late.catalog.deliverDelayed()).toBe(1);
    expect(await late.snapshotCount()).toBe(1);

    const overtaken = await tableWithFaults(['delay']);
    await expect(overtaken.prepared.send()).rejects.toMatchObject({ kind: 'commit-unknown' });
    await overtaken.prepared.send();
    expect(overtaken.catalog.deliverDelayed()).toBe(0);
    expect(await overtaken.snapshotCount()).toBe(1);
  });
});
