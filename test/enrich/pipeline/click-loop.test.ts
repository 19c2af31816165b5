import { describe, expect, it } from 'vitest';
import { NOTIFICATIONS, World } from './harness.ts';
import { frame } from './records.ts';

describe('the click loop', () => {
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

  it('does not spin while the registry is away before the initial snapshot is known complete', async () => {
    const world = await World.open({ complete: false });
    world.log.append(NOTIFICATIONS, 0, [{ key: null, value: frame(999, Buffer.from([1])) }]);
    world.faults.away.add('registry');
    const process = await world.start();
    await world.run(30_000);
    expect(process.polls.get(NOTIFICATIONS) ?? 0).toBeLessThan(150);
  });
});
