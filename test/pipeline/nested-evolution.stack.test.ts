import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { writeFrame } from '../../generate/avro.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import type { AvroField, AvroObject, AvroType } from '../../schemas/contract.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { openTrino } from '../../verify/trino.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { repository } from '../stack/compose-file.ts';
import { endpoints } from '../stack/endpoints.ts';
import { asPipeline, freePort, startCommand, stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { findPython, runPython } from './python.ts';

const name = `nested_evolution_${process.pid}_${Date.now() % 100_000}`;
const trino = openTrino({ url: endpoints.trinoUrl, user: 'test', catalog: 'lake', schema: 'lake' });

const field = (of: string, type: AvroType): AvroField => ({ name: of, type });

/** A place with the values that were measured there, by name, in lists: `geo.hist[].m{}`. */
function event(values: AvroType, items: AvroType, ...more: AvroField[]): AvroObject {
  const m = field('m', { type: 'map', values });
  const hist = { type: 'array', items: { type: 'record', name: 'Hist', fields: [m] } };
  const geo = [field('city', 'string'), field('hist', hist), ...more];
  return {
    type: 'record',
    name: 'Event',
    fields: [
      field('at', { type: 'long', logicalType: 'timestamp-millis' }),
      field('geo', { type: 'record', name: 'Geo', fields: geo }),
      field('tags', { type: 'array', items }),
    ],
  };
}

const contract = event('int', 'string');
const wider = event('long', ['null', 'string'], field('zip', 'string'));
const LONG = 2n ** 40n;

type Event = { geo: Record<string, unknown>; tags: (string | null)[] };

const before: Event = { geo: { city: 'Ulm', hist: [{ m: { a: 1 } }, { m: {} }] }, tags: ['x'] };
const after: Event = {
  geo: { city: 'Bern', hist: [{ m: { a: LONG, b: -1n } }], zip: '3000' },
  tags: [null, 'y'],
};

/** What Trino shows of both. */
const shown = {
  before: ['Ulm', null, 1n, ['x']],
  after: ['Bern', '3000', LONG, [null, 'y']],
};

let directory: string;
const pipelines: Pipeline[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'nested-evolution-'));
  await writeFile(join(directory, 'event.avsc'), JSON.stringify(contract));
  await writeFile(join(directory, 'pipeline.yaml'), await pipelineFile());
});
afterAll(async () => {
  await Promise.all(pipelines.map((pipeline) => pipeline.stop('SIGKILL')));
  await rm(directory, { recursive: true, force: true });
});

describe('a producer that switches to a field more and wider values within a record, while the pipeline runs', () => {
  it(
    'has all of its rows in the table, with kill -9 in between, and Trino reads those of before beside them',
    { timeout: 240_000 },
    async ({ skip }) => {
      const python = await findPython();
      const producer = await openProducer();
      const killed = await startPipeline();
      await producer.send(contract, before);
      await until('a row of before', () => hasRows(killed, 1));
      await producer.send(wider, after);
      await producer.send(contract, before);
      await until('rows of both', () => hasRows(killed, 3));
      expect(await killed.stop('SIGKILL')).toBe('SIGKILL');
      const next = await startPipeline();
      await producer.send(contract, before);
      await until('a row of before that comes after', () => hasRows(next, 4));
      await producer.send(wider, after);
      await until('and one of the other', () => hasRows(next, 5));
      await stopCleanly(next);
      await producer.close();

      const sql = `select geo.city, geo.zip, geo.hist[1].m['a'], tags from ${name} order by _kafka_offset`;
      const { rows } = await trino.query(sql);
      const { before: old, after: wide } = shown;
      expect(rows.map(asBigInt)).toEqual([old, wide, old, old, wide]);
      const { rows: types } = await trino.query(`describe ${name}`);
      expect(types.slice(1, 3).map(([column, type]) => [column, type])).toEqual([
        ['geo', 'row("city" varchar, "hist" array(row("m" map(varchar, bigint))), "zip" varchar)'],
        ['tags', 'array(varchar)'],
      ]);
      const { rows: letters } = await trino.query(`select count(*) from ${name}_dead_letter`);
      expect(Number(letters[0]?.[0])).toBe(0);
      if (python.kind === 'missing') return skip(`pyiceberg cannot be had: ${python.reason}`);
      const args = [endpoints.catalogUri, endpoints.s3Endpoint, `lake.${name}`, 'geo', 'tags'];
      const all = await trino.query(`select geo, tags from ${name} order by _kafka_offset`);
      expect(await runPython(python.python, 'read-columns.py', args)).toEqual(asJson(all.rows));
    },
  );
});

/** The third value is a number of 64 bits. */
function asBigInt([city, zip, value, tags]: readonly unknown[]): unknown[] {
  return [city, zip, BigInt(value as number), tags];
}

/** As a script can print it: whole numbers that a double does not hold are texts. */
function asJson(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)),
  );
}

async function hasRows(pipeline: Pipeline, wanted: number): Promise<boolean> {
  pipeline.mustBeAlive();
  const { rows } = await trino
    .query(`select count(*) from ${name}`)
    .catch(() => ({ rows: [[0]] as unknown[][] }));
  return Number(rows[0]?.[0]) === wanted;
}

async function openProducer() {
  const registry = openRegistry({ url: endpoints.registryUrl });
  await registry.setCompatibility(`${name}-value`, 'NONE');
  const producer = await openKafkaProducer({
    brokers: endpoints.kafkaBrokers,
    clientId: name,
    compression: 'zstd',
    log: () => undefined,
  });
  await producer.ensureTopic(`${name}.notifications`, 1, {});
  await producer.ensureTopic(name, 1, {});
  return {
    send: async (avroSchema: AvroObject, values: Event): Promise<void> => {
      const { schemaId } = await registry.register(`${name}-value`, avroSchema);
      const body = avscType(avroSchema).toBuffer({ at: 1_800_000_000_000n, ...values });
      const value = Buffer.alloc(body.length + 5);
      body.copy(value, writeFrame(schemaId, value, 0));
      const record = { partition: 0, key: null, value, timestamp: String(Date.now()) };
      await producer.send(name, [record]);
    },
    close: () => producer.close(),
  };
}

/** pipeline.yaml as shipped, without dimensions, for this contract. */
async function pipelineFile(): Promise<string> {
  const file = parseDocument(await readFile(join(repository, 'pipeline.yaml'), 'utf8'));
  file.set('pipeline', name);
  file.set('dimensions', []);
  file.setIn(['kafka', 'group'], name);
  file.set('stream', {
    topic: name,
    contract: 'event',
    event_time: 'at',
    evolution: { policy: 'reject', allow: ['add-field', 'widen-type', 'make-optional'] },
  });
  file.setIn(['readiness', 'notification_topic'], `${name}.notifications`);
  file.set('table', {
    name: `lake.${name}`,
    dead_letter: `lake.${name}_dead_letter`,
    partition: ['day(at)'],
    sort: ['at'],
  });
  return file.toString();
}

async function startPipeline(): Promise<Pipeline> {
  const port = String(await freePort());
  const flags = ['--config', join(directory, 'pipeline.yaml'), '--contracts', directory];
  const command = startCommand([...flags, 'run'], {
    KAFKA_BROKERS: endpoints.kafkaBrokers.join(','),
    SCHEMA_REGISTRY_URL: endpoints.registryUrl,
    CATALOG_URI: endpoints.catalogUri,
    S3_ENDPOINT: endpoints.s3Endpoint,
    COMMIT_INTERVAL: '1s',
    STATE_DIRECTORY: join(directory, 'state'),
    HTTP_PORT: port,
  });
  const pipeline = asPipeline(command, `http://127.0.0.1:${port}`);
  pipelines.push(pipeline);
  return pipeline;
}
