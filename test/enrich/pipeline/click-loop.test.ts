import { describe, expect, it } from 'vitest';
import { EnrichError } from '../../../enrich/error.ts';
import { NOTIFICATIONS, World } from './harness.ts';
import { expectExactlyOnce } from './model.ts';
import { frame } from './records.ts';

/** Lets no reader of the stream see beyond this offset of its first partition. */
function damageBehind(world: World, offset: bigint): void {
  const openReader = world.log.openReader.bind(world.log);
  world.log.openReader = async () => {
    const reader = await openReader();
    const poll = reader.poll.bind(reader);
    let isDamaged = false;
    reader.poll = async (sink, limits) => {
      const progress = await poll((topic, partition, records) => {
        if (topic === 'clicks' && records.baseOffset >= offset) isDamaged = true;
        else sink(topic, partition, records);
      }, limits);
      if (isDamaged) throw new EnrichError('corrupt', 'damaged');
      return progress;
    };
    return reader;
  };
}

describe('the click loop', () => {
  it('flushes and reads on after a poll that has filled the batch and then failed', async () => {
    const world = await World.open();
    const openReader = world.log.openReader.bind(world.log);
    let failures = 0;
    world.log.openReader = async () => {
      const reader = await openReader();
      const poll = reader.poll.bind(reader);
      reader.poll = async (sink, limits) => {
        let handedOver = false;
        const progress = await poll((topic, partition, records) => {
          handedOver ||= topic === 'clicks';
          sink(topic, partition, records);
        }, limits);
        if (handedOver && failures++ === 0) throw new EnrichError('unavailable', 'cut off');
        return progress;
      };
      return reader;
    };
    await world.start();
    await world.run(1_000);
    for (let batch = 0; batch < 3; batch += 1) {
      world.click(
        0,
        Array.from({ length: 30 }, () => ({})),
      );
    }
    await world.run(20_000);
    expect(failures).toBeGreaterThan(0);
    expect(await expectExactlyOnce(world)).toHaveLength(90);
  });

  it('lets only one flush be under way, however slow the group coordinator is', async () => {
    const world = await World.open();
    const joinGroup = world.log.joinGroup.bind(world.log);
    world.log.joinGroup = async (options) => {
      const member = await joinGroup(options);
      const commitOffsets = member.commitOffsets.bind(member);
      member.commitOffsets = async (position) => {
        await world.time.sleep(20_000);
        return commitOffsets(position);
      };
      return member;
    };
    const process = await world.start();
    await world.run(1_000);
    world.click(0, [{}, {}]);
    await world.run(1_500);
    world.faults.commitDelayMs = 60_000;
    world.click(0, [{}, {}]);
    await world.run(22_000);
    world.click(
      1,
      Array.from({ length: 60 }, () => ({})),
    );
    await world.run(2_000);
    world.faults.commitDelayMs = 0;
    await world.run(180_000);
    expect(process.ended()).toBeUndefined();
    expect(await world.rows()).toHaveLength(64);
  });

  it('commits what lies before a damaged batch, then stops at it and says so', async () => {
    const world = await World.open();
    const sound = world.log.openReader.bind(world.log);
    damageBehind(world, 3n);
    const process = await world.start();
    await world.run(1_000);
    world.click(0, [{}]);
    await world.run(3_000);
    world.click(0, [{}, {}]);
    world.click(0, [{}]);
    await world.run(500);
    expect(process.ended()).toMatchObject({ error: { kind: 'corrupt', message: 'damaged' } });
    expect(await world.rows(), 'before the commit was due').toHaveLength(3);
    world.log.openReader = sound;
    await world.start();
    await world.run(5_000);
    expect(await expectExactlyOnce(world)).toHaveLength(4);
  });

  it('names the damage also where what lies before it cannot be committed, which it tells', async () => {
    const world = await World.open();
    damageBehind(world, 3n);
    const process = await world.start();
    await world.run(3_000);
    world.click(0, [{}, {}, {}]);
    await world.catalog.dropTable({ namespace: ['lake'], name: 'clicks' });
    world.click(0, [{}]);
    await world.run(5_000);
    expect(process.ended()).toMatchObject({ error: { kind: 'corrupt', message: 'damaged' } });
    const told = process.lines.find(({ message }) => String(message).includes('was not committed'));
    expect(JSON.stringify(told)).toContain('fenced');
  });

  it('does not spin while the registry is away before the initial snapshot is known complete', async () => {
    const world = await World.open({ complete: false });
    world.log.append(NOTIFICATIONS, 0, [{ key: null, value: frame(999, Buffer.from([1])) }]);
    world.faults.away.add('registry');
    const process = await world.start();
    await world.run(30_000);
    expect(process.polls.get(NOTIFICATIONS) ?? 0).toBeLessThan(150);
  });
});
