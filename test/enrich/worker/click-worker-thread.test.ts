import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { EnrichError } from '../../../enrich/error.ts';
import type { ClickWorker } from '../../../enrich/worker/click-worker.ts';
import { startClickWorkerThread } from '../../../enrich/worker/click-worker-thread.ts';
import { TAKES } from './thread-script.ts';

const script = new URL('./thread-script.ts', import.meta.url);
const opened: ClickWorker[] = [];
const faults: Error[] = [];

const onFault = (fault: Error): void => void faults.push(fault);

async function start(workerData = ''): Promise<ClickWorker> {
  const name = 'click worker 1';
  const worker = await startClickWorkerThread({ script, name, workerData, onFault });
  opened.push(worker);
  return worker;
}

afterEach(async () => {
  faults.splice(0);
  await Promise.all(opened.splice(0).map((worker) => worker.close()));
});

async function failureOf(work: Promise<unknown>): Promise<Error> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (failure instanceof Error) return failure;
  throw new Error('it did not fail');
}

describe('a click worker in a thread', () => {
  it('is called and answers with all that a commit needs, offsets of 64 bits among it', async () => {
    const worker = await start();
    await worker.assign(new Map([[3, 2n ** 60n]]), new Map());
    expect((await worker.take(100)).lag).toEqual(new Map([[3, 2 ** 60]]));
    const { id, ranges } = await worker.seal();
    expect({ id, ranges }).toEqual({
      id: 7,
      ranges: new Map([[3, { start: 0n, end: 2n ** 60n }]]),
    });
    await worker.abandon();
    await worker.learn({
      contract: { name: 'click', avroSchema: { type: 'record', fields: [] } },
      avroSchemas: new Map([[1, 'unknown']]),
      refused: new Map(),
    });
  });

  it('fails a call with the error of its thread: class, kind, context and causes', async () => {
    const worker = await start();
    const failure = await failureOf(worker.take(TAKES.away));
    expect(failure).toBeInstanceOf(CatalogError);
    expect(failure).toMatchObject({
      kind: 'unavailable',
      message: 'the store is away',
      context: { file: 's3://a', offset: 2n ** 60n, socket: expect.any(String) as string },
      cause: { name: 'TypeError', message: 'socket hang up', cause: { message: 'ECONNRESET' } },
    });
    expect(failure.stack, 'where it was thrown').toContain('thread-script.ts');
    expect(await worker.take(100), 'and the worker goes on').toMatchObject({ rows: 0 });
  });

  it('fails a call with a bug of ours as one: without a kind, and no other call', async () => {
    const worker = await start();
    const failure = await failureOf(worker.take(TAKES.bug));
    expect(failure).toMatchObject({ name: 'RangeError', message: 'no such column' });
    expect(failure).not.toHaveProperty('kind');
    expect(await worker.take(100)).toMatchObject({ rows: 0 });
  });

  it('tells of faults that its log rides out', async () => {
    await failureOf((await start()).take(TAKES.away));
    expect(faults).toEqual([expect.objectContaining({ kind: 'unavailable' })]);
    expect(faults[0]).toBeInstanceOf(EnrichError);
  });

  it('that cannot open says why', async () => {
    expect(await failureOf(start('does not open'))).toMatchObject({
      kind: 'fenced',
      context: { topicId: 'b' },
    });
  });

  it.each([
    ['in which something is thrown that nobody awaits', TAKES.throwUnheard, /nobody awaits this/],
    ['that ends by itself', TAKES.exit, /click worker 1 ended with code 9/],
  ])('%s fails every call, for good', async (_what, wait, message) => {
    const worker = await start();
    const failure = await failureOf(worker.take(wait));
    expect(failure.message).toMatch(message);
    expect(failure).not.toHaveProperty('kind');
    expect((await failureOf(worker.take(100))).message).toMatch(message);
  });

  it('that hangs is ended when it is closed', async () => {
    const worker = await start();
    const hanging = failureOf(worker.take(TAKES.hang));
    await worker.close();
    expect((await hanging).message).toMatch(/ended/);
  });
});
