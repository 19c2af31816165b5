import { describe, expect, it } from 'vitest';
import { QUIET_MS, World } from './harness.ts';
import type { Process, TableRow } from './harness.ts';
import { topicOf } from './records.ts';

const DEAD_LETTERS = { namespace: ['lake'], name: 'clicks_dead_letter' };
const POLL_MS = 500;
/** Longer than the interval at which what waits is settled. */
const SETTLE_MS = 8_000;
const bad = { key: Buffer.from('{"user_id":1}'), value: Buffer.from('{"no":"envelope"}') };

/** A change that only the state can refuse: a user id is an integer. */
const refused = {
  key: Buffer.from('{"user_id":"abc"}'),
  value: Buffer.from(
    JSON.stringify({
      before: null,
      after: { user_id: 'abc', name: 'x' },
      source: { connector: 'postgresql', lsn: 5, snapshot: 'false' },
      op: 'u',
      ts_ms: 1,
    }),
  ),
};

function offsets(rows: readonly TableRow[]): bigint[] {
  const found = rows.map((row) => row['_kafka_offset'] as bigint);
  return found.toSorted((a, b) => (a < b ? -1 : 1));
}

async function waiting({ metrics }: Process): Promise<number | undefined> {
  return (await metrics.deadLettersWaiting.get()).values[0]?.value;
}

/** Lets the state take so many batches from now on and then none, until what it gives is called. */
function allowStateWrites(world: World, countMax: number): () => void {
  const { away } = world.faults;
  const has = away.has.bind(away);
  let writes = 0;
  away.has = (what) => (what === 'state' ? (writes += 1) > countMax : has(what));
  return () => {
    away.has = has;
  };
}

describe('a record of a change topic that cannot be applied', () => {
  // INVARIANTS.md 5
  it('is not lost when the process dies right after the batch that moves the position', async () => {
    const { world, process } = await World.started();
    const allowAgain = allowStateWrites(world, 1);
    world.log.append(topicOf.users, 0, [refused]);
    await world.run(POLL_MS);
    process.kill();
    allowAgain();
    await world.start();
    await world.run(QUIET_MS);
    expect(await world.deadLetters()).toMatchObject([
      { _kafka_topic: topicOf.users, _kafka_offset: 0n, error_kind: 'invalid-key' },
    ]);
  });

  it('is not hidden by a later one that the decoder refuses', async () => {
    const { world } = await World.started();
    // What settles meanwhile must not run ahead of what the state has taken.
    world.faults.away.add('state');
    world.log.append(topicOf.users, 0, [refused, bad, refused, bad]);
    await world.run(SETTLE_MS);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    expect(offsets(await world.deadLetters())).toEqual([0n, 1n, 2n, 3n]);
  });

  it('outlasts a state that is away while it is taken out again', async () => {
    const { world, process } = await World.started();
    const allowAgain = allowStateWrites(world, 1);
    world.log.append(topicOf.users, 0, [bad]);
    await world.run(QUIET_MS);
    expect(process.ended()).toBeUndefined();
    expect(await waiting(process)).toBe(1);
    allowAgain();
    await world.run(QUIET_MS);
    expect(await waiting(process)).toBe(0);
    expect(await world.deadLetters()).toHaveLength(1);
  });

  it('counts in the topic that it came from, and no other of the same name', async () => {
    const { world, process } = await World.started();
    world.log.append(topicOf.users, 0, [bad, bad, bad]);
    await world.run(QUIET_MS);
    process.stop();
    await world.run(5_000);
    world.log.deleteTopic(topicOf.users);
    world.log.createTopic(topicOf.users, 2);
    world.log.append(topicOf.users, 0, [bad, bad]);
    const rebuilt = await world.start({ state: 'empty' });
    await world.run(QUIET_MS);
    world.log.append(topicOf.users, 0, [bad, bad]);
    await world.run(QUIET_MS);
    expect(rebuilt.ended()).toBeUndefined();
    expect(offsets(await world.deadLetters())).toEqual([0n, 0n, 1n, 1n, 2n, 2n, 3n]);
  });

  it.each([
    ['many', 6_000, 8, 12_000],
    ['large', 1, 3 * 1024 ** 2, 8],
  ])(
    'waits in a bounded space while the catalog is away: %s',
    async (...limits) => {
      const [, perBatch, valueBytes, countMax] = limits;
      const { world, process } = await World.started();
      world.faults.away.add('catalog');
      const record = { key: null, value: Buffer.alloc(valueBytes, 'x') };
      const batches = countMax / perBatch + 2;
      for (let batch = 0; batch < batches; batch++) {
        world.log.append(
          topicOf.users,
          0,
          Array.from({ length: perBatch }, () => record),
        );
        await world.run(POLL_MS);
      }
      expect(await waiting(process)).toBe(countMax);
      const paused = process.lines.filter(({ message }) => /paused/.test(String(message)));
      expect(paused).toMatchObject([{ level: 'warn', count: countMax }]);
      world.faults.away.clear();
      await world.run(3 * SETTLE_MS);
      expect(await waiting(process)).toBe(0);
      expect(await world.deadLetters()).toHaveLength(batches * perBatch);
    },
    30_000,
  );
});

describe('a dead-letter table that was rolled back', () => {
  it.each(['clicks', topicOf.users])(
    'stops the pipeline at the next reject of %s; --accept-rollback goes on from there',
    async (topic) => {
      const { world, process } = await World.started();
      const rejectOne = async (): Promise<void> => {
        if (topic === 'clicks') world.reject(0, [null]);
        else world.log.append(topic, 0, [bad]);
        await world.run(SETTLE_MS);
      };
      await rejectOne();
      const { currentSnapshotId = 0n } = await world.metadata(DEAD_LETTERS.name);
      await rejectOne();
      process.stop();
      await world.run(5_000);
      const ref = { type: 'branch', snapshotId: currentSnapshotId } as const;
      const updates = [{ action: 'set-snapshot-ref', refName: 'main', ref } as const];
      const request = { identifier: DEAD_LETTERS, requirements: [], updates };
      await world.catalog.prepareCommit(request).send();
      const refusing = await world.start();
      await rejectOne();
      expect(refusing.ended()).toMatchObject({
        error: { kind: 'fenced', message: expect.stringContaining('--accept-rollback') as unknown },
      });
      const accepting = await world.start({ acceptRollback: true });
      await rejectOne();
      expect(accepting.ended()).toBeUndefined();
      const found = offsets(await world.deadLetters());
      expect(new Set(found).size).toBe(found.length);
      expect(found).toEqual(expect.arrayContaining([0n, 2n, 3n]));
      accepting.stop();
      await world.run(5_000);
      const next = await world.start();
      await rejectOne();
      expect(next.ended()).toBeUndefined();
      expect(offsets(await world.deadLetters())).toEqual([...found, 4n]);
    },
    20_000,
  );
});

describe('a dead-letter table that is recreated', () => {
  it('stops the running pipeline at the next reject of a change topic', async () => {
    const { world, process } = await World.started();
    const { schemas, partitionSpecs, sortOrders } = await world.metadata(DEAD_LETTERS.name);
    const [schema, partitionSpec, sortOrder] = [schemas[0], partitionSpecs[0], sortOrders[0]];
    if (schema === undefined || partitionSpec === undefined || sortOrder === undefined)
      throw new Error('the table is incomplete');
    await world.catalog.dropTable(DEAD_LETTERS);
    await world.catalog.createTable({
      identifier: DEAD_LETTERS,
      schema,
      partitionSpec,
      sortOrder,
      properties: { 'format-version': '2' },
    });
    world.log.append(topicOf.users, 0, [bad]);
    await world.run(QUIET_MS);
    expect(process.ended()).toMatchObject({
      error: { kind: 'fenced', message: expect.stringContaining('recreated') as unknown },
    });
    expect(await world.deadLetters()).toEqual([]);
  });
});

describe('a recreated stream topic whose events table was dropped', () => {
  it('has its rejects beside those of the topic before it', async () => {
    const { world, process } = await World.started();
    world.reject(0, [null, null, null]);
    await world.run(5_000);
    process.stop();
    await world.run(5_000);
    await world.catalog.dropTable({ namespace: ['lake'], name: 'clicks' });
    world.log.deleteTopic('clicks');
    world.log.createTopic('clicks', 3);
    const successor = await world.start();
    await world.run(1_000);
    world.reject(0, [null, null]);
    await world.run(5_000);
    world.reject(0, [null, null]);
    await world.run(QUIET_MS);
    expect(successor.ended()).toBeUndefined();
    expect(offsets(await world.deadLetters())).toEqual([0n, 0n, 1n, 1n, 2n, 2n, 3n]);
  });
});
