import { describe, expect, it } from 'vitest';
import { QUIET_MS, World } from './harness.ts';

const isOfCommit = ({ message }: Record<string, unknown>): boolean => message === 'committed';

describe('the log', () => {
  it('says a line for each commit, and nothing else, while all goes well', async () => {
    const { world, process } = await World.started();
    const said = process.lines.length;
    world.click(0, [{}, {}]);
    world.reject(1, [null]);
    await world.run(QUIET_MS);
    const { snapshots } = await world.metadata();
    expect(process.lines.slice(said)).toEqual([
      {
        time: expect.any(String) as unknown,
        level: 'info',
        message: 'committed',
        table: 'clicks',
        rows: 2,
        rejects: 1,
        snapshotId: String(snapshots[0]?.snapshotId),
        seconds: expect.any(Number) as unknown,
      },
      expect.objectContaining({ level: 'warn', rejects: 1, records: 3 }),
    ]);
    const after = process.lines.length;
    for (let round = 0; round < 20; round += 1) {
      world.click(round % 3, [{}, {}]);
      world.change('users', round, { name: 'ann' });
      await world.run(2_000);
    }
    const told = process.lines.slice(after);
    expect(told.every(isOfCommit)).toBe(true);
    expect(told).toHaveLength((await world.metadata()).snapshots.length - snapshots.length);
  });

  it('tells of a bad commit what happened, to which commit, and its cause by kind', async () => {
    const { world, process } = await World.started();
    const faults = ['fail', 'conflict'] as const;
    let sent = 0;
    world.faults.commit = () => faults[sent++] ?? 'apply';
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    const warnings = process.lines.filter(({ level }) => level === 'warn');
    expect(warnings[0]).toMatchObject({
      message: 'commit to clicks: unknown-outcome',
      commitId: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
      attempt: 1,
      error: { kind: 'commit-unknown', context: { table: 'lake.clicks' } },
    });
    for (const line of process.lines) {
      expect(line).toMatchObject({ time: expect.any(String), message: expect.any(String) });
    }
  });

  it('counts a lost race, and tells of many', async () => {
    const { world, process } = await World.started();
    let sent = 0;
    const loseNext = (races: number): void => {
      sent = 0;
      world.faults.commit = () => (sent++ < races ? 'conflict' : 'apply');
    };
    const said = process.lines.length;
    loseNext(2);
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    expect(process.lines.slice(said).map(isOfCommit)).toEqual([true]);
    loseNext(4);
    world.click(0, [{}]);
    await world.run(QUIET_MS);
    expect(process.lines.slice(said).every(isOfCommit)).toBe(false);
    const { values } = await process.metrics.commitConflicts.get();
    expect(values).toMatchObject([{ value: 6, labels: { table: 'clicks' } }]);
  });

  it('tells of an outage at its start, now and then while it lasts, and at its end', async () => {
    const { world, process } = await World.started();
    world.faults.away.add('store');
    world.click(0, [{}]);
    await world.run(120_000);
    world.faults.away.clear();
    await world.run(QUIET_MS);
    const about = process.lines.filter(({ message }) =>
      String(message).includes('writing data files'),
    );
    // The reminders in between say the same as the first.
    expect(about.length).toBeLessThan(8);
    expect([about.at(0), about.at(-1)]).toMatchObject([
      { level: 'warn', error: { kind: 'unavailable', message: 'the store is away' } },
      { level: 'info', message: expect.stringContaining('works again') as unknown },
    ]);
  });

  it('does not drown in the lines of a long outage', async () => {
    const { world, process } = await World.started();
    for (const name of ['catalog', 'log'] as const) world.faults.away.add(name);
    world.click(0, [{}]);
    const said = process.lines.length;
    await world.run(600_000);
    expect(process.lines.length - said).toBeLessThan(10 * 60 * 5);
  });
});

describe('the metrics', () => {
  it('count what became of every record, and how it was joined', async () => {
    const { world, process } = await World.started();
    world.change('users', 1, { name: 'ann' });
    await world.run(500);
    world.click(0, [{ userId: 1 }, { userId: 2 }]);
    world.reject(1, [null]);
    world.log.appendInvisible('clicks', 2, 4);
    await world.run(5_000);
    const text = await process.metrics.registry.metrics();
    const lines = [
      'tributary_events_total{outcome="row"} 2',
      'tributary_events_total{outcome="reject"} 1',
      'tributary_events_total{outcome="filtered"} 4',
      'tributary_join_total{dimension="users",match="hit"} 1',
      'tributary_join_total{dimension="users",match="miss"} 1',
      'tributary_join_total{dimension="urls",match="miss"} 2',
      'tributary_commits_total{table="clicks",outcome="committed"} 1',
      'tributary_commits_total{table="clicks_dead_letter",outcome="committed"} 1',
      'tributary_dimension_changes_total{dimension="users",kind="upsert"} 1',
      'tributary_dimension_lag_records{dimension="users"} 0',
      'tributary_state_rows{dimension="users"} 1',
      'tributary_lag_records{partition="0"} 0',
      'tributary_buffered_rows 0',
      'tributary_ready 1',
      'tributary_freshness_seconds_count 1',
    ];
    for (const line of lines) expect(text.split('\n')).toContain(line);
    const last = /^tributary_last_commit_timestamp_seconds (\S+)/m.exec(text)?.[1];
    const [snapshot] = (await world.metadata()).snapshots;
    expect(Math.abs(Number(last) * 1000 - Number(snapshot?.timestampMs))).toBeLessThan(1_000);
  });

  it('show the lag of a pipeline that cannot commit, and that it is ready no more once stopped', async () => {
    const { world, process } = await World.started();
    world.faults.away.add('log');
    await world.run(2_000);
    world.change('users', 1, { name: 'ann' });
    world.faults.away.clear();
    await world.run(5_000);
    expect((await process.metrics.fetchErrors.get()).values).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ labels: { reader: 'clicks' } }),
        expect.objectContaining({ labels: { reader: 'dimensions' } }),
      ]),
    );
    process.stop();
    await world.run(5_000);
    expect((await process.metrics.ready.get()).values).toMatchObject([{ value: 0 }]);
  });
});
