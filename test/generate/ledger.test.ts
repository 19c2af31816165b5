import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLedgerWriter, readLedger, type LedgerBatch } from '../../generate/ledger.ts';
import { clickSource } from './click-contract.ts';

const RUN = { topic: 'clicks', clusterId: 'c', seed: 9 };
const BASE = new Map([0, 1, 2, 3].map((partition) => [partition, BigInt(partition) * 1_000n]));

let folder = '';
let path = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledger-'));
  path = join(folder, 'clicks.ndjson');
});
afterEach(() => rm(folder, { recursive: true }));

const readAll = async (): Promise<LedgerBatch[]> => {
  const batches: LedgerBatch[] = [];
  for await (const batch of readLedger(path)) batches.push(batch);
  return batches;
};

function inOrder<T extends { place: string }>(list: readonly T[]): T[] {
  return list.toSorted((a, b) => (a.place < b.place ? -1 : 1));
}

describe('a ledger', () => {
  it('gives back every record with the offset that follows from its place', async () => {
    const batch = clickSource(9).next(1_000, 1_800_000_000_000);
    const writer = await openLedgerWriter(path, RUN);
    await writer.ack(await writer.send(batch), BASE);
    await writer.close();
    const found = (await readAll()).flatMap((part) =>
      part.url.map((url, i) => ({
        place: `${part.partition}/${(part.baseOffset ?? -1n) + BigInt(i)}`,
        url,
        kind: part.kind[i],
        userId: part.userId[i],
        sessionId: part.sessionId[i],
      })),
    );
    const next = new Map(BASE);
    const expected = batch.url.map((url, i) => {
      const partition = batch.partition[i] ?? 0;
      const offset = next.get(partition) ?? 0n;
      next.set(partition, offset + 1n);
      const [kind, userId, sessionId] = [batch.kind[i], batch.userId[i], batch.sessionId[i]];
      return { place: `${partition}/${offset}`, url, kind, userId, sessionId };
    });
    expect(inOrder(found)).toEqual(inOrder(expected));
  });

  it('is read without the runs that are not accepted, their open sends too', async () => {
    const source = clickSource(9);
    for (const clusterId of ['old', 'new']) {
      const writer = await openLedgerWriter(path, { ...RUN, clusterId });
      await writer.ack(await writer.send(source.next(10, 1)), BASE);
      await writer.send(source.next(20, 2));
      await writer.close();
    }
    let records = 0;
    for await (const { count } of readLedger(path, (run) => run.clusterId === 'new')) {
      records += count;
    }
    expect(records).toBe(30);
  });

  it('tells sends without an ack by a missing offset', async () => {
    const source = clickSource(9);
    const writer = await openLedgerWriter(path, RUN);
    const first = await writer.send(source.next(10, 1));
    await writer.send(source.next(20, 2));
    await writer.ack(first, BASE);
    await writer.close();
    const batches = await readAll();
    const countOf = (isKnown: boolean): number =>
      batches
        .filter(({ baseOffset }) => (baseOffset !== undefined) === isKnown)
        .reduce((sum, { count }) => sum + count, 0);
    expect([countOf(true), countOf(false)]).toEqual([10, 20]);
  });

  it('stays readable when it was cut short in the middle of a line and continued', async () => {
    const source = clickSource(9);
    const writer = await openLedgerWriter(path, RUN);
    await writer.ack(await writer.send(source.next(10, 1)), BASE);
    await writer.send(source.next(10, 2));
    await writer.close();
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 30));
    const again = await openLedgerWriter(path, RUN);
    await again.ack(await again.send(source.next(7, 3)), BASE);
    await again.close();
    const batches = await readAll();
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(17);
    expect(batches.every(({ baseOffset }) => baseOffset !== undefined)).toBe(true);
  });

  it('refuses a file that is none', async () => {
    await appendFile(path, '{"send":1}\n');
    await expect(readAll()).rejects.toMatchObject({ kind: 'config' });
    path = join(folder, 'nowhere');
    await expect(readAll()).rejects.toMatchObject({ kind: 'config' });
  });
});
