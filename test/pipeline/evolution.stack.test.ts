import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceId, urlText } from '../../generate/dimension-rows.ts';
import type { AvroField, AvroObject } from '../../schemas/contract.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { endpoints } from '../stack/endpoints.ts';
import { stopCleanly, until } from './command.ts';
import { openHandProducer } from './hand-made.ts';
import type { Click } from './hand-made.ts';
import { openLake, seeded, streamPartitions } from './lake.ts';
import type { Lake } from './lake.ts';
import { proveExactlyOnce } from './prove.ts';
import { findPython, runPython } from './python.ts';

const { avroSchema: click } = await loadContract('schemas', 'click');

function clickWith(...others: AvroField[]): AvroObject {
  const names = new Set(others.map(({ name }) => name));
  return { ...click, fields: [...click.fields.filter(({ name }) => !names.has(name)), ...others] };
}

const campaign: AvroField = { name: 'campaign', type: 'string' };
const longDuration: AvroField = { name: 'duration_ms', type: ['null', 'long'] };
const optionalDevice: AvroField = { name: 'device_id', type: ['null', 'string'] };
/** What producers are rolled out to, one after the other; those of before go on beside them. */
const rollout = {
  contract: click,
  campaign: clickWith(campaign),
  wide: clickWith(campaign, longDuration),
  optional: clickWith(longDuration, optionalDevice),
};
const BATCH = 300;
const LONG = 2 ** 40;

/** Click n of the load: what its schema brings follows from n, and its session says n. */
function clickOf(n: number, avroSchema: AvroObject): Click {
  const isWide = avroSchema === rollout.wide || avroSchema === rollout.optional;
  const more = {
    duration_ms: isWide ? LONG + n : n,
    ...(avroSchema.fields?.includes(campaign) === true ? { campaign: `c-${n}` } : {}),
  };
  const { seed, users, devices, urls } = seeded;
  return {
    userId: 1 + (n % users),
    deviceId: deviceId(seed, 1 + (n % devices)),
    url: urlText(seed, 1 + (n % urls)),
    sessionId: `n-${n}`,
    more,
  };
}

/** Sends without a pause, each batch with one of the schemas of now. */
async function startLoad(lake: Lake) {
  const producer = await openHandProducer(lake);
  const sent = { n: 0, campaigns: 0, long: 0 };
  let schemas: readonly AvroObject[] = [rollout.contract];
  const stopped = new AbortController();
  const running = (async () => {
    for (let batch = 0; !stopped.signal.aborted; batch += 1) {
      const avroSchema = schemas[batch % schemas.length] ?? click;
      const clicks = Array.from({ length: BATCH }, () => clickOf(sent.n++, avroSchema));
      await producer.send(avroSchema, clicks);
      for (const { more } of clicks) {
        if (more?.['campaign'] !== undefined) sent.campaigns += 1;
        if (Number(more?.['duration_ms']) >= LONG) sent.long += 1;
      }
      await sleep(50);
    }
  })();
  return {
    sent,
    switchTo: (...to: AvroObject[]) => {
      schemas = to;
    },
    stop: async (): Promise<void> => {
      stopped.abort();
      await running;
      await producer.close();
    },
  };
}

/** The id of the newest snapshot and the columns that the table has. */
async function look(lake: Lake): Promise<{ snapshotId: bigint; columns: Map<string, string> }> {
  const metadata = await lake.metadata();
  const current = metadata?.schemas.find(({ schemaId }) => schemaId === metadata.currentSchemaId);
  return {
    snapshotId: metadata?.currentSnapshotId ?? 0n,
    columns: new Map(
      (current?.fields ?? []).map(({ name, type, required }) => [
        name,
        `${typeof type === 'string' ? type : type.type}${required ? '' : '?'}`,
      ]),
    ),
  };
}

describe('a producer switches its schema under load', () => {
  let lake: Lake;
  beforeAll(async () => {
    lake = await openLake('evolution');
    await lake.setEvolution({ policy: 'evolve' });
  });
  afterAll(() => lake.close());

  it(
    'kill -9 in the middle and a second process lose nothing, double nothing, and end with one column',
    { timeout: 300_000 },
    async ({ skip }) => {
      const python = await findPython();
      const load = await startLoad(lake);
      const first = await lake.startPipeline();
      await first.ready();
      await until('rows of before', async () => (await look(lake)).snapshotId !== 0n);
      const before = await look(lake);

      load.switchTo(rollout.campaign, rollout.contract);
      await until('the column', async () => (await look(lake)).columns.has('campaign'));
      expect(await first.stop('SIGKILL')).toBe('SIGKILL');
      const second = await lake.startPipeline();
      const third = await lake.startPipeline({ STATE_DIRECTORY: join(lake.directory, 'third') });
      await Promise.all([second.ready(), third.ready()]);
      const during = await look(lake);

      load.switchTo(rollout.wide, rollout.contract, rollout.optional);
      await until('the wider column', async () => {
        const { columns } = await look(lake);
        return columns.get('duration_ms') === 'long?' && columns.get('device_id') === 'string?';
      });
      expect(await second.stop('SIGKILL')).toBe('SIGKILL');
      const fourth = await lake.startPipeline();
      await fourth.ready();
      load.switchTo(rollout.contract);
      await sleep(2_000);
      await load.stop();
      await lake.caughtUp();
      await stopCleanly(third);
      await stopCleanly(fourth);

      const { rows } = await proveExactlyOnce(lake, '--joins');
      expect(rows).toBe(load.sent.n);
      const after = await look(lake);
      expect(Object.fromEntries(after.columns)).toEqual({
        ...Object.fromEntries(before.columns),
        campaign: 'string?',
        duration_ms: 'long?',
        device_id: 'string?',
      });
      await expectValues(lake, load.sent);
      await expectVersions(lake, [before, during, after]);
      if (python.kind === 'missing') return skip(`pyiceberg cannot be had: ${python.reason}`);
      await expectSameInPython(lake, python.python, [before, during, after]);
    },
  );
});

/** Trino: each value as its producer wrote it, and null where it wrote none. */
async function expectValues(lake: Lake, sent: { n: number; campaigns: number; long: number }) {
  const { rows } = await lake.trino.query(
    `select count(*), count(campaign), count_if(campaign = concat('c-', substr(session_id, 3))),
       count_if(duration_ms = cast(substr(session_id, 3) as bigint)),
       count_if(duration_ms = cast(substr(session_id, 3) as bigint) + ${LONG})
     from ${lake.table}`,
  );
  const { n, campaigns, long } = sent;
  expect(rows[0]?.map(Number)).toEqual([n, campaigns, campaigns, n - long, long]);
  expect(campaigns).toBeGreaterThan(BATCH);
  expect(long).toBeGreaterThan(BATCH);
}

/** Trino: a version has the columns and rows that it had. */
async function expectVersions(lake: Lake, versions: readonly Awaited<ReturnType<typeof look>>[]) {
  const counts: number[] = [];
  for (const { snapshotId, columns } of versions) {
    const at = `${lake.table} for version as of ${snapshotId}`;
    const { columns: found } = await lake.trino.query(`select * from ${at} limit 1`);
    expect(found.map(({ name }) => name)).toEqual([...columns.keys()]);
    counts.push(await lake.count(`select count(*) from ${at}`));
    const { rows } = await lake.trino.query(`select count_if(duration_ms is null) from ${at}`);
    expect(Number(rows[0]?.[0])).toBe(0);
  }
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect(new Set(counts).size, 'each holds more than the one before').toBe(versions.length);
}

/** pyiceberg reads the same values of the same versions as Trino. */
async function expectSameInPython(
  lake: Lake,
  executable: string,
  versions: readonly Awaited<ReturnType<typeof look>>[],
) {
  const wanted = ['session_id', 'duration_ms', 'device_id', 'campaign'];
  const found = (await runPython(executable, 'read-versions.py', [
    endpoints.catalogUri,
    endpoints.s3Endpoint,
    `lake.${lake.table}`,
    wanted.join(','),
    ...versions.map(({ snapshotId }) => String(snapshotId)),
  ])) as { columns: string[]; rows: (string | null)[][] }[];
  for (const [index, { snapshotId, columns }] of versions.entries()) {
    const has = wanted.filter((name) => columns.has(name));
    const texts = has.map((name) => `cast(${name} as varchar)`).join(', ');
    const { rows } = await lake.trino.query(
      `select ${texts} from ${lake.table} for version as of ${snapshotId}`,
    );
    expect(found[index]?.columns).toEqual(has);
    expect(sorted(found[index]?.rows ?? [])).toEqual(sorted(rows));
  }
}

function sorted(rows: readonly (readonly unknown[])[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

describe('a producer sends what the policy does not follow', () => {
  const COUNT = 30;
  let lake: Lake;
  beforeAll(async () => {
    lake = await openLake('policies');
  });
  afterAll(() => lake.close());

  it(
    'fail stops, pause waits, reject keeps for later, and a replay brings all of it back under evolve',
    { timeout: 240_000 },
    async () => {
      const producer = await openHandProducer(lake);
      const send = (from: number, avroSchema: AvroObject): Promise<void> =>
        producer.send(
          avroSchema,
          Array.from({ length: COUNT }, (_, i) => clickOf(from + i, avroSchema)),
        );
      await send(0, rollout.contract);
      await send(COUNT, rollout.campaign);

      await lake.setEvolution({ policy: 'fail' });
      const failing = await lake.startPipeline();
      expect(await failing.ended).toBe(1);
      // From here on nobody expects it to be alive.
      await failing.stop('SIGTERM');
      expect(failing.output()).toMatch(
        /schema \d+ of topic policies\S* differs from contract click: field campaign is not in the contract/,
      );
      expect(failing.output()).toContain('stream.evolution in pipeline.yaml');
      const before = `select count(*) as clicks from ${lake.table} group by _kafka_partition`;
      expect(
        await lake.count(`select max(clicks) from (${before})`),
        'what lies before, in the partition that was first at the schema',
      ).toBe(COUNT / streamPartitions);

      await lake.setEvolution({ policy: 'pause' });
      const pausing = await lake.startPipeline();
      await until('it says why it waits', async () => {
        const readyz = await fetch(`${pausing.url}/readyz`).catch(() => undefined);
        return (await readyz?.text())?.includes('paused at schema') === true;
      });
      expect(await pausing.metric('tributary_schemas_paused')).toBe(1);
      expect(await lake.lag()).toBe(BigInt(COUNT));
      await stopCleanly(pausing);

      await lake.setEvolution({ policy: 'reject' });
      const rejecting = await lake.startPipeline();
      await rejecting.ready();
      await lake.caughtUp();
      await until('the dead letters', async () => (await letters()).length === COUNT);
      await stopCleanly(rejecting);
      expect(new Set(await letters())).toEqual(new Set(['schema-change']));
      expect((await look(lake)).columns.has('campaign')).toBe(false);

      await lake.setEvolution({ policy: 'evolve' });
      const evolving = await lake.startPipeline();
      await evolving.ready();
      await lake.must('dlq', 'replay');
      // Kafka ends a transaction after it has answered: what was replayed may be seen a moment later.
      await until('what was replayed is committed', async () => {
        return (await lake.count(`select count(*) from ${lake.table}`)) === 2 * COUNT;
      });
      await stopCleanly(evolving);
      expect(
        await lake.count(
          `select count_if(campaign = concat('c-', substr(session_id, 3))) from ${lake.table}`,
        ),
      ).toBe(COUNT);
      await producer.close();
    },
  );

  async function letters(): Promise<unknown[]> {
    const { rows } = await lake.trino.query(`select error_kind from ${lake.deadLetter}`);
    return rows.map(([kind]) => kind);
  }
});
