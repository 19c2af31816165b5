import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openChangeLog } from '../../cli/change-log.ts';
import { findVanished, withoutPresent } from '../../connectors/vanished-rows.ts';
import { MemoryLog } from '../../enrich/source/memory-log.ts';

const partitions = 3;

type Told = { key: number; schemaId: number; isTombstone: boolean };

/** Confluent's frame around one byte: a key keeps its partition as long as its schema id stays. */
function frame({ key, schemaId }: { key: number; schemaId: number }): Buffer {
  return Buffer.from([0, 0, 0, 0, schemaId, key]);
}

const partitionOf = ({ key, schemaId }: Told): number => (key + schemaId) % partitions;

const toldValue: fc.Arbitrary<Told> = fc.record({
  key: fc.nat({ max: 12 }),
  schemaId: fc.integer({ min: 1, max: 2 }),
  isTombstone: fc.boolean(),
});

function append(log: MemoryLog, told: readonly Told[]): void {
  for (const one of told) {
    const value = one.isTombstone ? null : Buffer.from('row');
    log.append('rows', partitionOf(one), [{ key: frame(one), value }]);
  }
}

const ends = async (log: MemoryLog): Promise<Map<number, bigint>> =>
  new Map([...(await log.bounds('rows'))].map(([p, { endOffset }]) => [p, endOffset]));

const textOf = (rows: readonly { partition: number; key: Buffer }[]): string[] =>
  rows.map(({ partition, key }) => `${partition}/${key.toString('hex')}`).toSorted();

it('rows that are gone are those whose newest record was written before the reading, and lives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(toldValue, { maxLength: 40 }),
      fc.array(toldValue, { maxLength: 20 }),
      fc.record({ keysAtOnceMax: fc.integer({ min: 1, max: 30 }), compacts: fc.boolean() }),
      async (earlier, read, { keysAtOnceMax, compacts }) => {
        const log = new MemoryLog({ clusterId: 'cluster' });
        log.createTopic('rows', partitions);
        append(log, earlier);
        const before = await ends(log);
        append(log, read);
        const after = await ends(log);
        if (compacts) for (let p = 0; p < partitions; p++) log.compact('rows', p);
        const changeLog = openChangeLog(log, new AbortController().signal);
        const found = [];
        for await (const rows of findVanished(
          changeLog,
          { topic: 'rows', before, after },
          keysAtOnceMax,
        )) {
          found.push(...rows);
        }
        const ranges = [...after].map(([partition, to]) => ({
          topic: 'rows',
          partition,
          from: before.get(partition) ?? 0n,
          to,
        }));
        const gone = await withoutPresent(changeLog, found, ranges);

        const newest = new Map(earlier.map((one) => [frame(one).toString('hex'), one]));
        const seen = new Set(read.map(({ key }) => key));
        const wanted = [...newest.values()].filter((one) => !one.isTombstone && !seen.has(one.key));
        expect(textOf(gone)).toEqual(
          textOf(wanted.map((one) => ({ partition: partitionOf(one), key: frame(one) }))),
        );
      },
    ),
    { numRuns: 150 },
  );
});
