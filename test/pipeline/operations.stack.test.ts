import { readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { recordedCommits } from '../../verify/recorded.ts';
import { endpoints } from '../stack/endpoints.ts';
import { freePort, stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { openLake, seeded } from './lake.ts';
import type { Lake } from './lake.ts';
import { proveExactlyOnce } from './prove.ts';

const dimensions = ['users', 'devices', 'urls'];
const rowsTaken = 'tributary_events_total{outcome="row"}';

let lake: Lake;
beforeAll(async () => {
  lake = await openLake('operations');
  await lake.followed();
});
afterAll(() => lake.close());

async function get(pipeline: Pipeline, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${pipeline.url}${path}`);
  return { status: response.status, text: await response.text() };
}

const sharesIn = (pipeline: Pipeline) => async () => (await pipeline.metric(rowsTaken)) > 1_000;

/** Copies pipeline.yaml of the lake with some values replaced. */
async function variant(name: string, values: readonly [string[], unknown][]): Promise<string> {
  const document = parseDocument(await readFile(lake.pipelineFile, 'utf8'));
  for (const [path, value] of values) document.setIn(path, value);
  const file = join(lake.directory, name);
  await writeFile(file, document.toString());
  return file;
}

describe('from the first start on', () => {
  let pipeline: Pipeline;
  let port: number;
  let registry: Server;
  let endsAtStart: Map<string, Map<number, bigint>>;

  beforeAll(async () => {
    await lake.sendClicks('--count', '4000', '--unknown', '0', '--corrupt', '0.005');
    const ends = dimensions.map(
      async (name) => [name, await lake.ends(`app.public.${name}`)] as const,
    );
    endsAtStart = new Map(await Promise.all(ends));
    port = await freePort();
    registry = createServer((client) => {
      const { port: behind } = new URL(endpoints.registryUrl);
      const server = connect(Number(behind), '127.0.0.1');
      client.on('error', () => server.destroy()).pipe(server);
      server.on('error', () => client.destroy()).pipe(client);
    });
    const away = endpoints.registryUrl.replace(/:\d+/, `:${port}`);
    // The shortest interval: a pipeline that did not wait would commit its first rows unjoined.
    pipeline = await lake.startPipeline({ SCHEMA_REGISTRY_URL: away, COMMIT_INTERVAL: '100ms' });
  });
  afterAll(async () => {
    await pipeline.stop('SIGTERM');
    registry.close();
  });

  it('the pipeline lives and says that it is not ready, while the registry is away', async () => {
    await until('it has met the registry', () => pipeline.output().includes('registry'));
    expect(await get(pipeline, '/livez')).toEqual({ status: 200, text: 'ok\n' });
    const { status, text } = await get(pipeline, '/readyz');
    expect(status).toBe(503);
    expect(text.trim()).not.toBe('');
    expect(await pipeline.metric('tributary_ready')).toBe(0);
    expect(await lake.position()).toEqual(new Map());
  });

  it('no click is joined before every dimension is ready (INVARIANTS.md 6)', async () => {
    await new Promise<void>((resolve) => registry.listen(port, '127.0.0.1', resolve));
    await pipeline.ready();
    await lake.caughtUp();
    const metadata = await lake.metadata();
    const [first] = metadata === undefined ? [] : recordedCommits(metadata, lake.name);
    for (const [name, end] of endsAtStart) {
      const next = first?.dimensions.get(name)?.next;
      const behind = [...end].filter(
        ([partition, offset]) => (next?.get(partition) ?? 0n) < offset,
      );
      expect(behind, `partitions of ${name} that the first commit did not know whole`).toEqual([]);
    }
    const { rows, rejects } = await proveExactlyOnce(lake, '--joins');
    expect({ all: rows + rejects, haveRejects: rejects > 0 }).toEqual({
      all: 4_000,
      haveRejects: true,
    });
    const misses = await lake.count(
      `select count(*) from ${lake.table} where _users_match <> 'hit' or _devices_match <> 'hit'`,
    );
    expect(misses, 'clicks of seeded users and devices').toBe(0);
  });

  it('the metrics count what the table holds', async () => {
    expect(await get(pipeline, '/readyz')).toEqual({ status: 200, text: 'ok\n' });
    const rows = await lake.count(`select count(*) from ${lake.table}`);
    const hits = await lake.count(`select count_if(_urls_match = 'hit') from ${lake.table}`);
    expect({
      ready: await pipeline.metric('tributary_ready'),
      rows: await pipeline.metric(rowsTaken),
      rejects: await pipeline.metric('tributary_events_total{outcome="reject"}'),
      hits: await pipeline.metric('tributary_join_total{dimension="urls",match="hit"}'),
      misses: await pipeline.metric('tributary_join_total{dimension="urls",match="miss"}'),
      users: await pipeline.metric('tributary_state_rows{dimension="users"}'),
      buffered: await pipeline.metric('tributary_buffered_rows'),
    }).toEqual({
      ready: 1,
      rows,
      rejects: 4_000 - rows,
      hits,
      misses: rows - hits,
      users: seeded.users,
      buffered: 0,
    });
  });

  it('a second run on its state directory is refused', async () => {
    const { code, output } = await lake.run(['run']);
    expect(output).toContain(`${lake.stateDirectory} is in use by another process`);
    expect(output).toContain('state.directory');
    expect(code).toBe(78);
  });

  it('a second run on its port is refused', async () => {
    const taken = new URL(pipeline.url).port;
    const { code, output } = await lake.run(['run'], {
      HTTP_PORT: taken,
      STATE_DIRECTORY: join(lake.directory, 'other'),
    });
    expect(output).toContain(`cannot listen on 127.0.0.1:${taken}`);
    expect(code).toBe(78);
    await stopCleanly(pipeline);
  });
});

describe('stopping and starting', () => {
  it('SIGTERM commits what is held, at once, and ends with 0', async () => {
    const pipeline = await lake.startPipeline({ COMMIT_INTERVAL: '10m' });
    await pipeline.ready();
    const before = await lake.position();
    await lake.sendClicks('--count', '3000', '--corrupt', '0');
    await until('it holds them all', async () => {
      return (await pipeline.metric('tributary_buffered_rows')) === 3_000;
    });
    expect(await lake.position()).toEqual(before);
    const startMs = Date.now();
    await stopCleanly(pipeline);
    expect(Date.now() - startMs).toBeLessThan(15_000);
    expect(await lake.lag()).toBe(0n);
    await proveExactlyOnce(lake);
  });

  it("without its state directory it goes on from the table's position", async () => {
    await rm(lake.stateDirectory, { recursive: true });
    await lake.sendClicks('--count', '2000', '--corrupt', '0');
    const pipeline = await lake.startPipeline();
    await pipeline.ready();
    await lake.caughtUp();
    expect(await pipeline.metric(rowsTaken), 'nothing is read twice').toBe(2_000);
    await stopCleanly(pipeline);
    await proveExactlyOnce(lake, '--joins');
  });

  it('two in one group share the partitions and hand them over', { timeout: 180_000 }, async () => {
    const other = { STATE_DIRECTORY: join(lake.directory, 'state-2') };
    const killed = await lake.startPipeline();
    const stopped = await lake.startPipeline(other);
    await Promise.all([killed.ready(), stopped.ready()]);
    const clicks = lake.startClicks('--rate', '2000', '--changes', '20');
    await until('the first commits rows', sharesIn(killed));
    await until('the second commits rows', sharesIn(stopped));
    await killed.stop('SIGKILL');
    const last = await lake.startPipeline();
    await last.ready();
    await until('the killed one is back at work', sharesIn(last));
    await stopCleanly(stopped);
    await stopCleanly(clicks);
    await lake.caughtUp();
    await stopCleanly(last);
    const { rows, produced, rejects } = await proveExactlyOnce(lake, '--joins');
    expect(rows).toBe(produced - rejects);
  });
});

describe('what others do to the table', () => {
  it('optimize and expire_snapshots under load do no harm', { timeout: 180_000 }, async () => {
    const first = await lake.startPipeline();
    await first.ready();
    const clicks = lake.startClicks('--rate', '2000');
    const maintain = async (): Promise<void> => {
      const table = `alter table ${lake.table} execute`;
      await lake.trino.query(`${table} optimize`);
      await lake.trino.query(
        `${table} expire_snapshots(retention_threshold => '0s', retain_last => 1)`,
      );
    };
    await maintain();
    await sleep(1_500);
    await maintain();
    await first.stop('SIGKILL');
    // No snapshot of the pipeline is left but, at most, the last: the property has to do.
    await maintain();
    const second = await lake.startPipeline();
    await second.ready();
    await maintain();
    await stopCleanly(clicks);
    await lake.caughtUp();
    await stopCleanly(second);
    const left = await lake.count(`select count(*) from "${lake.table}$snapshots"`);
    const { produced } = await proveExactlyOnce(lake);
    expect(left, 'snapshots were expired').toBeLessThan(produced / 1_000);
  });

  it('a roll-back stops it with the remedy, which works', { timeout: 180_000 }, async () => {
    const pipeline = await lake.startPipeline();
    await pipeline.ready();
    await lake.sendClicks('--count', '8000', '--rate', '4000', '--corrupt', '0.02');
    await lake.caughtUp();
    const metadata = await lake.metadata();
    const ours = metadata === undefined ? [] : recordedCommits(metadata, lake.name);
    const target = ours.at(-3)?.snapshotId;
    await lake.trino.query(
      `alter table ${lake.table} execute rollback_to_snapshot(${String(target)})`,
    );
    await lake.sendClicks('--count', '2000', '--corrupt', '0.02');
    expect(await pipeline.ended).toBe(78);
    await pipeline.stop('SIGKILL');
    expect(pipeline.output()).toContain('tributary run --accept-rollback');
    const again = await lake.run(['run']);
    expect(again.output).toContain('the table was rolled back');
    expect(again.code).toBe(78);

    const accepted = await lake.startPipeline({}, '--accept-rollback');
    await accepted.ready();
    await lake.caughtUp();
    await stopCleanly(accepted);
    await proveExactlyOnce(lake);
    const plain = await lake.startPipeline();
    await plain.ready();
    await stopCleanly(plain);
  });
});

describe('a configuration that cannot work', () => {
  it('a topic that does not exist is named, with exit code 78', async () => {
    const file = await variant('no-topic.yaml', [[['stream', 'topic'], 'nowhere']]);
    const { code, output } = await lake.run(['--config', file, 'run']);
    expect(output).toContain('topic nowhere (stream.topic) does not exist');
    expect(output).toContain('tributary connectors apply');
    expect(code).toBe(78);
  });

  it('a bad pipeline.yaml is told with every line that is wrong, with exit code 78', async () => {
    const file = await variant('bad.yaml', [
      [['commit', 'interval'], 'soon'],
      [['table', 'partitions'], ['day(event_time)']],
    ]);
    const { code, output } = await lake.run(['--config', file, 'run']);
    const lines = (await readFile(file, 'utf8')).split('\n');
    const lineOf = (text: string): number => lines.findIndex((line) => line.includes(text)) + 1;
    expect(output).toContain(`bad.yaml:${lineOf('interval: soon')}:`);
    expect(output).toContain(`bad.yaml:${lineOf('partitions:')}:`);
    expect(code).toBe(78);
  });

  it('a catalog that nobody serves is waited for, visibly, until SIGTERM', async () => {
    const pipeline = await lake.startPipeline({
      CATALOG_URI: `http://127.0.0.1:${await freePort()}`,
    });
    await until('it tells', () => pipeline.output().includes('connecting to the catalog'));
    expect((await get(pipeline, '/livez')).status).toBe(200);
    expect((await get(pipeline, '/readyz')).status).toBe(503);
    const startMs = Date.now();
    expect([0, 1]).toContain(await pipeline.stop('SIGTERM'));
    expect(Date.now() - startMs).toBeLessThan(10_000);
  });

  it('an address that is no catalog is told with exit code 78', async () => {
    const { code, output } = await lake.run(['run'], { CATALOG_URI: endpoints.s3Endpoint });
    expect(output).toContain(endpoints.s3Endpoint);
    expect(code).toBe(78);
  });
});
