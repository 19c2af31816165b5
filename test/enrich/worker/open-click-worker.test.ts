import avsc from 'avsc';
import { createMemoryStore } from '@iceberg-js/rest-client-shim/memory/memory-store.ts';
import { describe, expect, it } from 'vitest';
import { MemoryLog } from '../../../enrich/source/memory-log.ts';
import type { ClickWorker, Lesson, WorkerSpec } from '../../../enrich/worker/click-worker.ts';
import { openClickWorker } from '../../../enrich/worker/open-click-worker.ts';
import type { AvroObject, Contract } from '../../../schemas/contract.ts';
import { loadContract } from '../../../schemas/load-contracts.ts';
import { clickSchema, encodeClick } from '../pipeline/records.ts';
import { VirtualTime } from '../pipeline/virtual-time.ts';

const contract = await loadContract('schemas', 'click');
const limits = { rowsMax: 5, bytesMax: 1024 ** 2, intervalMs: 1_000 };
const SCHEMA_ID = 1;
const AT_START = new Map([[0, 0n]]);
const columns = new Map();

function lesson(avroSchema: AvroObject | 'unknown'): Lesson {
  return { contract, avroSchemas: new Map([[SCHEMA_ID, avroSchema]]), refused: new Map() };
}

async function openWorker(of: Partial<Pick<WorkerSpec, 'contract' | 'limits'>> = {}) {
  const time = new VirtualTime(0);
  const log = new MemoryLog({ clusterId: 'cluster-1', pause: time.pause });
  log.createTopic('clicks', 1);
  const { topicId = '' } = (await log.describeTopic('clicks')) ?? {};
  const spec = {
    index: 0,
    identity: { clusterId: 'cluster-1', topic: 'clicks', topicId },
    contract,
    limits,
    carriedBytesMax: 1024,
    dimensions: [],
    deadLetterFieldIds: new Map(),
    location: 'memory://lake/clicks',
    ...of,
  };
  const open = (): Promise<ClickWorker> =>
    openClickWorker(spec, {
      log,
      store: createMemoryStore({ nowMs: time.nowMs }),
      writer: {
        encode() {
          throw new Error('nothing is written here');
        },
      },
      clock: { elapsedMs: time.nowMs },
    });
  const click = (count: number): void => {
    const value = encodeClick(SCHEMA_ID, { userId: 1, url: 'https://a/', deviceId: 'd' });
    log.append(
      'clicks',
      0,
      Array.from({ length: count }, () => ({ key: null, value })),
    );
  };
  return { time, log, open, click };
}

/** A worker that reads the topic from its start and knows the schema. */
async function started() {
  const world = await openWorker();
  const worker = await world.open();
  await worker.learn(lesson(clickSchema));
  await worker.assign(AT_START, await world.log.bounds('clicks'));
  /** What a call comes to within so much time; undefined if to nothing. */
  const within = async <T>(ms: number, call: Promise<T>): Promise<T | undefined> => {
    let answer: T | undefined;
    void call.then((value) => (answer = value));
    await world.time.run(ms);
    return answer;
  };
  return { ...world, worker, within };
}

/** A list of which a null takes one byte of a record and a few hundred in memory. */
function wideContract(): Contract {
  const inner = Array.from({ length: 40 }, (_, i) => ({ name: `f${i}`, type: ['null', 'long'] }));
  const items = ['null', { type: 'record', name: 'Item', fields: inner }];
  const fields = [{ name: 'items', type: { type: 'array', items } }];
  return { name: 'wide', avroSchema: { type: 'record', name: 'Wide', fields } };
}

function encodeNulls(count: number): Uint8Array {
  const frame = Buffer.alloc(5);
  frame.writeInt32BE(SCHEMA_ID, 1);
  const type = avsc.Type.forSchema(wideContract().avroSchema as avsc.Schema);
  return Buffer.concat([frame, type.toBuffer({ items: Array(count).fill(null) })]);
}

describe('a take', () => {
  it('ends with the time that it was given where nothing comes', async () => {
    const { worker, within } = await started();
    const take = worker.take(200);
    expect(await within(199, take)).toBeUndefined();
    expect(await within(1, take)).toMatchObject({ rows: 0, dueInMs: undefined });
  });

  it('ends when the batch is opened, and says when it is due', async () => {
    const { worker, within, click } = await started();
    click(2);
    expect(await within(0, worker.take(200))).toMatchObject({ rows: 2, dueInMs: 1_000 });
    click(1);
    const take = worker.take(200);
    expect(await within(199, take), 'more of the same is no news').toBeUndefined();
    expect(await within(1, take)).toMatchObject({ rows: 3, dueInMs: 800 });
  });

  it('ends when the batch is full, and takes nothing more until it is sealed', async () => {
    const { worker, within, click } = await started();
    click(5);
    expect(await within(0, worker.take(200))).toMatchObject({ isFull: true, dueInMs: 0 });
    click(1);
    expect(await within(0, worker.take(200))).toMatchObject({ rows: 5, isFull: true });
    expect(await worker.seal()).toMatchObject({
      rows: 5,
      ranges: new Map([[0, { start: 0n, end: 5n }]]),
    });
    expect(await within(0, worker.take(200))).toMatchObject({ rows: 1, isFull: false });
  });

  it('ends when a record needs an empty batch, which is the next one', async () => {
    const wide = wideContract();
    const bounds = { ...limits, bytesMax: Infinity };
    const { open, log } = await openWorker({ contract: wide, limits: bounds });
    const worker = await open();
    const value = encodeNulls(1_200_000);
    log.append('clicks', 0, [
      { key: null, value },
      { key: null, value },
    ]);
    const { avroSchema } = wide;
    const avroSchemas = new Map([[SCHEMA_ID, avroSchema]]);
    await worker.learn({ contract: wide, avroSchemas, refused: new Map() });
    await worker.assign(AT_START, await log.bounds('clicks'));
    for (const start of [0n, 1n]) {
      const isFull = start === 0n;
      expect(await worker.take(200)).toMatchObject({ rows: 1, isFull, dueInMs: 0 });
      expect(await worker.seal()).toMatchObject({
        rows: 1,
        ranges: new Map([[0, { start, end: start + 1n }]]),
      });
    }
  }, 60_000);

  it('ends at a schema that it was not told, and goes on with it once it was', async () => {
    const { open, log, click, time } = await openWorker();
    const worker = await open();
    await worker.assign(AT_START, await log.bounds('clicks'));
    click(1);
    expect(await worker.take(200)).toMatchObject({ rows: 0, missing: [SCHEMA_ID] });
    const waiting = worker.take(200);
    await time.run(200);
    expect(await waiting, 'it is no news twice').toMatchObject({ missing: [SCHEMA_ID] });
    await worker.learn(lesson(clickSchema));
    expect(await worker.take(200)).toMatchObject({ rows: 1, missing: [] });
  });

  it('stands at the first schema of a record batch that it was not told, and names those further on', async () => {
    const { open, log, time } = await openWorker();
    const worker = await open();
    await worker.assign(AT_START, await log.bounds('clicks'));
    const click = { userId: 1, url: 'https://a/', deviceId: 'd' };
    const records = [7, 8, 7, 9].map((id) => ({ key: null, value: encodeClick(id, click) }));
    log.append('clicks', 0, records);
    expect(await worker.take(200)).toMatchObject({ rows: 0, missing: [7], ahead: [8, 9] });
    const told = (...ids: number[]) =>
      worker.learn({
        ...lesson('unknown'),
        avroSchemas: new Map(ids.map((id) => [id, clickSchema])),
      });
    await told(7);
    expect(await worker.take(200)).toMatchObject({ rows: 1, missing: [8], ahead: [9] });
    await told(8, 9);
    const rest = worker.take(200);
    await time.run(200);
    expect(await rest).toMatchObject({ rows: 4, missing: [], ahead: [] });
  });

  it('makes rejects of records whose schema the registry does not have', async () => {
    const { open, log, click } = await openWorker();
    const worker = await open();
    await worker.assign(AT_START, await log.bounds('clicks'));
    await worker.learn(lesson('unknown'));
    click(2);
    await worker.take(200);
    expect(await worker.seal()).toMatchObject({
      rows: 0,
      rejects: new Map([[0, 2n]]),
      rejectKinds: new Map([['unknown-schema-id', 2]]),
    });
  });

  it('ends at once when the worker is closed', async () => {
    const { worker, within } = await started();
    const take = worker.take(200);
    await worker.close();
    expect(await within(0, take)).toMatchObject({ rows: 0 });
  });
});

describe('a sealed batch', () => {
  it('waits for the poll that is under way, and no longer', async () => {
    const { worker, within, click } = await started();
    click(1);
    await within(0, worker.take(200));
    const take = worker.take(10_000);
    const seal = worker.seal();
    click(1);
    expect(await within(0, seal), 'what that poll brings belongs to it').toMatchObject({ rows: 2 });
    expect(await within(0, take)).toMatchObject({ rows: 2 });
  });

  it('that was given up can be neither joined nor written', async () => {
    const { worker, within, click } = await started();
    click(1);
    await within(0, worker.take(200));
    const { id } = await worker.seal();
    await worker.abandon();
    const wish = { id, ingestedAtMs: 0, columns, projections: new Map() };
    await expect(worker.join(wish)).rejects.toThrow(/given up/);
    click(1);
    await within(0, worker.take(200));
    await worker.seal();
    await expect(worker.join(wish), 'nor is another in its place').rejects.toThrow(/given up/);
  });

  it('that cannot be joined, for a bug of ours, fails that call and no other', async () => {
    const { worker, within, click } = await started();
    click(1);
    await within(0, worker.take(200));
    await worker.seal();
    const failed = await worker
      .join({ id: 99, ingestedAtMs: 0, columns, projections: new Map() })
      .catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Error);
    expect(failed).not.toHaveProperty('kind');
    click(1);
    expect(await within(0, worker.take(200))).toMatchObject({ rows: 1 });
  });

  it('is not part of what is taken after an assignment', async () => {
    const { worker, within, click, log } = await started();
    click(3);
    await within(0, worker.take(200));
    await worker.assign(new Map([[0, 1n]]), await log.bounds('clicks'));
    await within(0, worker.take(200));
    expect(await worker.seal()).toMatchObject({
      rows: 2,
      ranges: new Map([[0, { start: 1n, end: 3n }]]),
    });
  });
});

// INVARIANTS.md 9
it('a worker does not open on a topic that was recreated', async () => {
  const { open, log } = await openWorker();
  log.deleteTopic('clicks');
  log.createTopic('clicks', 1);
  await expect(open()).rejects.toMatchObject({ kind: 'fenced' });
});
