import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import type { RecordProducer } from '../../generate/kafka-producer.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { click } from '../enrich/core/rich-click.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { withFrame } from '../schemas/mutations.ts';
import { endpoints } from '../stack/endpoints.ts';
import { stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { openLake, streamPartitions } from './lake.ts';
import type { Lake } from './lake.ts';

/** Enough for several transactions, so that a kill falls into the midst of them. */
const VIOLATIONS = 3_000;
const KILLS = 2;

const registry = openRegistry({ url: endpoints.registryUrl });
let lake: Lake;
let producer: RecordProducer;
let pipeline: Pipeline;
/** Contracts that ask for a session, which those as shipped do not. */
let strict: string;
/** A writer of clicks that may have no session. */
let writer: AvroObject;
let writerId: number;

beforeAll(async () => {
  lake = await openLake('replay');
  const contract = await loadContract('schemas', 'click');
  const nullable = contract.avroSchema.fields.map((field) =>
    field.name === 'session_id' ? { ...field, type: ['null', 'string'] as const } : field,
  );
  writer = { ...contract.avroSchema, name: 'LooseClick', fields: nullable };
  strict = join(lake.directory, 'schemas');
  producer = await openKafkaProducer({
    brokers: endpoints.kafkaBrokers,
    clientId: lake.name,
    compression: 'gzip',
    log: () => undefined,
  });
});
afterAll(async () => {
  await producer.close();
  await lake.close();
});

async function send(values: readonly Uint8Array[], timestampMs = 1_750_000_000_000): Promise<void> {
  for (let at = 0; at < values.length; at += 1_000) {
    const records = values.slice(at, at + 1_000).map((value, i) => ({
      partition: i % streamPartitions,
      key: `key-${at + i}`,
      value: Buffer.from(value),
      timestamp: String(timestampMs),
    }));
    await producer.send(lake.topic, records);
  }
}

const rows = (where = 'true') => lake.count(`select count(*) from ${lake.table} where ${where}`);
const letters = (where = 'true') =>
  lake.count(`select count(*) from ${lake.deadLetter} where ${where}`);

/** Offsets of the stream's topic, those of open and aborted transactions included. */
async function sent(): Promise<bigint> {
  return [...(await lake.ends(lake.topic)).values()].reduce((sum, end) => sum + end, 0n);
}

type Report = {
  replayed: number;
  alreadyReplayed: number;
  leftOut: { reason: string; count: number }[];
};

async function dlq<T>(...args: string[]): Promise<T> {
  const { stdout } = await lake.must('dlq', ...args, '--json');
  return JSON.parse(stdout) as T;
}

describe('dead letters', () => {
  it('are listed by kind, the newest first', async () => {
    pipeline = await lake.startPipeline();
    await pipeline.ready();
    const next = 0x7000_0000;
    await send([
      withFrame(next, avscType(writer).toBuffer(click)),
      Buffer.from('no frame'),
      Buffer.from('nor here'),
    ]);
    await lake.caughtUp();
    await until('they are in their table', async () => (await letters()) === 3);
    type Summary = {
      count: number;
      groups: { kind: string; count: number }[];
      newest: { kind: string; offset: string; replayed: boolean }[];
    };
    const list = (...args: string[]) => dlq<Summary>('list', ...args);
    const one = ['--kind', 'unknown-schema-id', '--schema-id', String(next)];
    const [all, some, earlier, { stdout }] = await Promise.all([
      list(),
      list(...one, '--topic', lake.topic, '--partition', '0', '--since', '1h', '--limit', '1'),
      list('--until', '1h'),
      lake.must('dlq', 'list'),
    ]);
    expect(all.count).toBe(3);
    expect(all.groups).toMatchObject([
      { kind: 'no-magic-byte', count: 2 },
      { kind: 'unknown-schema-id', count: 1 },
    ]);
    expect(all.newest).toHaveLength(3);
    expect(some.newest).toMatchObject([{ kind: 'unknown-schema-id', replayed: false }]);
    expect([some.count, earlier.count]).toEqual([1, 0]);
    expect(stdout).toContain('no-magic-byte');
  });

  it('show their bytes, as far as they can be read, and what to do', async () => {
    const [{ stdout }, missing, nonsense] = await Promise.all([
      lake.must('dlq', 'show', `${lake.topic}/1/0`),
      lake.run(['dlq', 'show', `${lake.topic}/1/999999`]),
      lake.run(['dlq', 'show', 'nonsense']),
    ]);
    expect(stdout).toContain('6e 6f 20 66 72 61 6d 65');
    expect(stdout).toContain('|no frame|'.replaceAll('|', ''));
    expect(stdout).toContain('serialiser with a schema registry');
    expect([missing.code, nonsense.code]).toEqual([1, 2]);
  });

  it('that still cannot be read are told, and not sent', async () => {
    const before = await lake.ends(lake.topic);
    const report = await dlq<Report>('replay');
    expect(report).toMatchObject({ replayed: 0, alreadyReplayed: 0 });
    expect(new Set(report.leftOut.map(({ count }) => count))).toEqual(new Set([1, 2]));
    expect(await lake.ends(lake.topic)).toEqual(before);
    expect(await letters()).toBe(3);
  });
});

describe('a replay', { timeout: 240_000 }, () => {
  it('waits for the contract to be mended, and a dry run sends nothing', async () => {
    await breakContract();
    const { schemaId } = await registry.register(`${lake.name}-loose`, writer);
    writerId = schemaId;
    const value = avscType(writer).toBuffer({ ...click, session_id: null });
    await send(Array.from({ length: VIOLATIONS }, () => withFrame(writerId, value)));
    await lake.caughtUp();
    const where = `error_kind = 'contract-violation'`;
    await until('they are refused', async () => (await letters(where)) === VIOLATIONS);
    await stopCleanly(pipeline);
    const before = await lake.ends(lake.topic);
    const [still, dry] = await Promise.all([
      dlq<Report>('--contracts', strict, 'replay', '--kind', 'contract-violation'),
      dlq<Report>('replay', '--kind', 'contract-violation', '--dry-run'),
    ]);
    expect(still).toMatchObject({ replayed: 0, leftOut: [{ count: VIOLATIONS }] });
    expect(dry).toEqual({ replayed: VIOLATIONS, alreadyReplayed: 0, leftOut: [] });
    expect(await lake.ends(lake.topic)).toEqual(before);
    pipeline = await lake.startPipeline();
    await pipeline.ready();
  });

  it('that is killed midway, again and again, and run by two at once sends each record once', async () => {
    const args = ['--config', lake.pipelineFile, 'dlq', 'replay', '--kind', 'contract-violation'];
    const kills: string[] = [];
    for (let round = 0; round < KILLS; round++) {
      const before = await sent();
      const killed = lake.start(args);
      await until('it sends', async () => (await sent()) > before);
      kills.push(`${String(await killed.stop('SIGKILL'))} at ${await sent()}`);
    }
    const [one, other] = await Promise.all([lake.start(args), lake.start(args)].map(endOf));
    // One may take over from the other, which says so and ends with 1; then there is nothing left to do.
    expect([one?.code, other?.code].every((code) => code === 0 || code === 1)).toBe(true);
    const last = await dlq<Report>('replay', '--kind', 'contract-violation');
    expect(last.leftOut).toEqual([]);
    expect(last.replayed + last.alreadyReplayed).toBe(VIOLATIONS);
    type Summary = { groups: { kind: string; replayed: number }[] };
    const [again, { groups }] = await Promise.all([
      dlq<Report>('replay', '--kind', 'contract-violation'),
      dlq<Summary>('list'),
    ]);
    expect(again).toEqual({ replayed: 0, alreadyReplayed: VIOLATIONS, leftOut: [] });
    await lake.caughtUp();
    expect(await rows(), `after ${kills.join(', ')}: ${one?.output} ${other?.output}`).toBe(
      VIOLATIONS,
    );
    expect(await letters(`error_kind = 'contract-violation'`)).toBe(VIOLATIONS);
    expect(groups.map(({ kind, replayed }) => [kind, replayed])).toEqual([
      ['contract-violation', VIOLATIONS],
      ['no-magic-byte', 0],
      ['unknown-schema-id', 0],
    ]);
  });

  it('has kept key, value and time, and every offset is accounted for', async () => {
    await stopCleanly(pipeline);
    const [{ code }, records] = await Promise.all([lake.verify(), readTopic()]);
    expect(code).toBe(0);
    const originals = new Map(records.map((record) => [record.place, record]));
    const replayed = records.filter(({ origin }) => origin !== undefined);
    expect(new Set(replayed.map(({ origin }) => origin)).size).toBe(VIOLATIONS);
    expect(replayed).toHaveLength(VIOLATIONS);
    for (const { origin = '', key, value, timestamp } of replayed) {
      expect({ key, value, timestamp }).toEqual({
        key: originals.get(origin)?.key,
        value: originals.get(origin)?.value,
        timestamp: '1750000000000',
      });
    }
  });
});

/** Every committed record of the stream's topic, by a client that the pipeline does not use. */
async function readTopic() {
  const kafka = new Kafka({ brokers: [...endpoints.kafkaBrokers], logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `${lake.name}-check`, readUncommitted: false });
  const records: {
    place: string;
    key: string | undefined;
    value: string | undefined;
    timestamp: string;
    origin: string | undefined;
  }[] = [];
  await consumer.connect();
  await consumer.subscribe({ topics: [lake.topic], fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      const { offset, key, value, timestamp, headers } = message;
      records.push({
        place: `${topic}/${partition}/${offset}`,
        key: key?.toString('hex'),
        value: value?.toString('hex'),
        timestamp,
        origin: headers?.['tributary-replay-of']?.toString(),
      });
    },
  });
  await until('all is read', () => records.length >= 2 * VIOLATIONS + 3);
  await consumer.disconnect();
  return records;
}

async function endOf(command: ReturnType<Lake['start']>) {
  const code = await command.ended;
  return { code, output: command.output().slice(-300) };
}

/** Runs the pipeline under a contract that asks for a session, which the shipped one does not. */
async function breakContract(): Promise<void> {
  await stopCleanly(pipeline);
  const names = ['click', 'user', 'device', 'url'];
  await mkdir(strict, { recursive: true });
  for (const name of names) {
    const text = await readFile(join('schemas', `${name}.avsc`), 'utf8');
    const avroSchema = JSON.parse(text) as AvroObject;
    const fields = avroSchema.fields?.map((field) => {
      if (name !== 'click' || field.name !== 'session_id') return field;
      const { default: _none, ...required } = field;
      return { ...required, type: 'string' };
    });
    await writeFile(join(strict, `${name}.avsc`), JSON.stringify({ ...avroSchema, fields }));
  }
  pipeline = await lake.startPipeline({}, '--contracts', strict);
  await pipeline.ready();
}
