import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { VIOLATING_AVRO_SCHEMA } from '../../generate/corrupt.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import type { RecordProducer } from '../../generate/kafka-producer.ts';
import { openRandom } from '../../generate/random.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { goldenOf, resolveGolden } from '../connectors/golden-records.ts';
import { clickOracle } from '../enrich/core/click-oracle.ts';
import type { Writer } from '../enrich/core/click-oracle.ts';
import { click, richBody, richSchema } from '../enrich/core/rich-click.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { everyMutation, randomMutation, withFrame } from '../schemas/mutations.ts';
import { endpoints } from '../stack/endpoints.ts';
import { freePort, stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { openLake, streamPartitions } from './lake.ts';
import type { Lake } from './lake.ts';

const seed = Number(process.env['MUTATION_SEED'] ?? Date.now() % 2 ** 31);
const UNKNOWN_ID = 0x7fff_fff0;
/** What a broker takes in one record. */
const VALUE_BYTES_MAX = 900_000;
const SEND_BYTES = 512 * 1024;
const RANDOM_MUTATIONS = 1_000;

const registry = openRegistry({ url: endpoints.registryUrl });
let lake: Lake;
let producer: RecordProducer;
let contract: Contract;
let clickId: number;
let richId: number;
let writers: Map<number, Writer>;

beforeAll(async () => {
  lake = await openLake('dead_letters');
  await lake.setEvolution({ policy: 'ignore' });
  contract = await loadContract('schemas', 'click');
  const user = await loadContract('schemas', 'user');
  const idOf = async (subject: string, avroSchema: AvroObject): Promise<number> =>
    (await registry.register(`${lake.name}-${subject}`, avroSchema)).schemaId;
  clickId = await idOf('click', contract.avroSchema);
  richId = await idOf('rich', richSchema);
  writers = new Map([
    [clickId, { avroSchema: contract.avroSchema, isReadable: true }],
    [richId, { avroSchema: richSchema as AvroObject, isReadable: true }],
    [await idOf('user', user.avroSchema), { avroSchema: user.avroSchema, isReadable: false }],
    [
      await idOf('violating', VIOLATING_AVRO_SCHEMA),
      { avroSchema: VIOLATING_AVRO_SCHEMA, isReadable: true },
    ],
  ]);
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

type Sent = { partition: number; offset: bigint; value: Buffer | null };

/** Sends values in order, spread over the partitions; where each one stands. */
async function send(values: readonly (Uint8Array | null)[]): Promise<Sent[]> {
  const sent: Sent[] = [];
  let [batch, bytes]: [Sent[], number] = [[], 0];
  const flush = async (): Promise<void> => {
    const timestamp = String(Date.now());
    const records = batch.map(({ partition, value }, i) => ({
      partition,
      key: i % 3 === 0 ? null : `k${i}`,
      value,
      timestamp,
    }));
    const acks = new Map(await producer.send(lake.topic, records));
    for (const record of batch) {
      const offset = acks.get(record.partition) ?? -1n;
      acks.set(record.partition, offset + 1n);
      sent.push({ ...record, offset });
    }
    [batch, bytes] = [[], 0];
  };
  for (const [i, value] of values.entries()) {
    const copy = value === null ? null : Buffer.from(value);
    batch.push({ partition: i % streamPartitions, offset: -1n, value: copy });
    bytes += copy?.length ?? 0;
    if (bytes > SEND_BYTES || batch.length === 500) await flush();
  }
  if (batch.length > 0) await flush();
  return sent;
}

function goodClick(): Uint8Array {
  return withFrame(clickId, avscType(contract.avroSchema).toBuffer(click));
}

function mutatedClicks(): (Uint8Array | null)[] {
  const ids = { unknown: UNKNOWN_ID, others: [...writers.keys()] };
  const random = openRandom(seed, 'stack');
  const rich = withFrame(richId, richBody());
  const mutated = [
    ...[...everyMutation(goodClick(), ids)].map(({ bytes }) => bytes),
    ...Array.from({ length: RANDOM_MUTATIONS }, () => {
      return randomMutation(random.chance(0.5) ? rich : goodClick(), random).bytes;
    }),
  ];
  return mutated.filter((bytes) => (bytes?.length ?? 0) < VALUE_BYTES_MAX);
}

function frameIdOf(value: Uint8Array | null): number {
  return value?.[0] === 0 && value.length >= 5 ? Buffer.from(value).readInt32BE(1) : -1;
}

/** Without records that a mutation has given an id of somebody else's schema. */
async function withoutForeignIds(
  values: readonly (Uint8Array | null)[],
): Promise<(Uint8Array | null)[]> {
  const isForeign = new Map<number, boolean>([...writers.keys()].map((id) => [id, false]));
  for (const id of new Set(values.map(frameIdOf))) {
    if (id < 0 || isForeign.has(id)) continue;
    isForeign.set(id, (await registry.schemaById(id)) !== 'unknown');
  }
  return values.filter((value) => isForeign.get(frameIdOf(value)) !== true);
}

/** The dead letters of a topic by `partition/offset`, as Trino has them. */
async function deadLetters(topic: string) {
  const { rows } = await lake.trino.query(
    `select _kafka_partition, _kafka_offset, error_kind, schema_id, to_hex(record_value), _kafka_topic_id
     from ${lake.deadLetter} where _kafka_topic = '${topic}'`,
  );
  const entries = rows.map(([partition, offset, kind, schemaId, value, topicId]) => {
    const place = `${String(partition)}/${String(offset)}`;
    return [place, { kind, schemaId, value, topicId }] as const;
  });
  expect(new Set(entries.map(([place]) => place)).size, 'each once').toBe(entries.length);
  return new Map(entries);
}

describe('thousands of mutated records', () => {
  it(`of the stream (seed ${seed}, MUTATION_SEED) are rejects of the right kind, or rows`, async () => {
    const pipeline = await lake.startPipeline();
    await pipeline.ready();
    const before = await pipeline.metric('process_resident_memory_bytes');
    const mutated = await withoutForeignIds(mutatedClicks());
    const sent = await send(mutated.flatMap((value) => [value, goodClick()]));
    await lake.caughtUp();
    const grown = (await pipeline.metric('process_resident_memory_bytes')) - before;
    await stopCleanly(pipeline);

    const found = await deadLetters(lake.topic);
    const outcomeOf = clickOracle(contract, writers);
    const kinds = new Map<string, number>();
    let rows = 0;
    for (const { partition, offset, value } of sent) {
      const outcome = outcomeOf(value);
      if ('row' in outcome) {
        rows++;
        continue;
      }
      const { kind } = outcome;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      const hasId = !['null-value', 'no-magic-byte'].includes(kind);
      expect(found.get(`${partition}/${offset}`), `${partition}/${offset}`).toEqual({
        kind,
        schemaId: hasId ? value?.readInt32BE(1) : null,
        value: value?.toString('hex').toUpperCase() ?? null,
        topicId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
      found.delete(`${partition}/${offset}`);
    }
    expect([...found.keys()], 'no reject beside them').toEqual([]);
    expect(await lake.count(`select count(*) from ${lake.table}`)).toBe(rows);
    expect([...kinds.keys()].toSorted()).toEqual([
      'contract-violation',
      'invalid-utf8',
      'malformed',
      'no-magic-byte',
      'null-value',
      'out-of-range',
      'truncated',
      'unknown-schema-id',
    ]);
    expect((await lake.verify()).code).toBe(0);
    expect(grown).toBeLessThan(700 * 1024 ** 2);
    expect(sent.length).toBeGreaterThan(4_000);
  });

  it('of a change topic likewise, and the changes between them count', async () => {
    const topic = `${lake.name}.public.users`;
    await producer.ensureTopic(topic, 1, { 'cleanup.policy': 'compact' });
    const record = goldenOf('users-c')[0]?.record;
    if (record?.key == null || record.value === null) throw new Error('the sample lacks a part');
    const register = async (part: string, bytes: Uint8Array): Promise<Uint8Array> => {
      const avroSchema = resolveGolden(Buffer.from(bytes).readInt32BE(1)) as AvroObject;
      const { schemaId } = await registry.register(`${topic}-${part}`, avroSchema);
      return withFrame(schemaId, bytes.subarray(5));
    };
    const key = await register('key', record.key);
    const value = await register('value', record.value);
    const ids = { unknown: UNKNOWN_ID, others: [clickId] };
    const mutations = [...everyMutation(value, ids)]
      .filter(({ bytes }) => (bytes?.length ?? 0) < VALUE_BYTES_MAX)
      .filter((_, i) => i % 3 === 0);
    const messages = mutations.map(({ bytes }) => ({
      partition: 0,
      key: Buffer.from(key),
      value: bytes === null ? null : Buffer.from(bytes),
      timestamp: String(Date.now()),
    }));
    for (let i = 0; i < messages.length; i += 200) {
      await producer.send(topic, messages.slice(i, i + 200));
    }
    const good = { partition: 0, key: Buffer.from(key), value: Buffer.from(value) };
    await producer.send(topic, [{ ...good, timestamp: String(Date.now()) }]);

    const document = parseDocument(await readFile(lake.pipelineFile, 'utf8'));
    document.setIn(['dimensions', 0, 'topic'], topic);
    document.setIn(['dimensions', 0, 'columns'], ['name', 'country', 'tier']);
    document.setIn(['table', 'name'], `lake.${lake.name}_b`);
    document.set('pipeline', `${lake.name}_b`);
    const file = join(lake.directory, 'own-users.yaml');
    await writeFile(file, document.toString());
    const port = String(await freePort());
    const env = { HTTP_PORT: port, STATE_DIRECTORY: join(lake.directory, 'state-b') };
    const pipeline = await lake.startPipeline(env, '--config', file);
    await pipeline.ready();
    const rejects = async (): Promise<number> =>
      lake.count(`select count(*) from ${lake.deadLetter} where _kafka_topic = '${topic}'`);
    await until('its dead letters arrive', async () => (await rejects()) > 300);
    await until('none waits', async () => {
      return (await pipeline.metric('tributary_dead_letters_waiting')) === 0;
    });
    const found = await deadLetters(topic);
    for (const [place, { schemaId, kind }] of found) {
      const offset = Number(place.split('/')[1]);
      const bytes = messages[offset]?.value;
      if (bytes == null) throw new Error(`${place} is no mutation`);
      const hasId = bytes.length >= 5 && bytes[0] === 0 && bytes.readInt32BE(1) >= 0;
      // A value without a frame: the key's id tells as much as there is.
      expect(schemaId, `${place} ${String(kind)}`).toBe(
        (hasId ? bytes : Buffer.from(key)).readInt32BE(1),
      );
      expect(found.get(place)?.value).toBe(bytes.toString('hex').toUpperCase());
    }
    expect(await pipeline.metric('tributary_state_rows{dimension="users"}')).toBe(1);
    await stopCleanly(pipeline);
  });
});

/** A way to the registry that can be cut. */
async function openWay(): Promise<{
  url: string;
  cut: () => void;
  mend: () => Promise<void>;
  close: () => void;
}> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const mend = async (): Promise<void> => {
    const { port: behind } = new URL(endpoints.registryUrl);
    server = createServer((client) => {
      const peer = connect(Number(behind), '127.0.0.1');
      sockets.add(client);
      client.on('error', () => peer.destroy()).pipe(peer);
      peer.on('error', () => client.destroy()).pipe(client);
    });
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  };
  const cut = (): void => {
    server?.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  await mend();
  return { url: endpoints.registryUrl.replace(/:\d+/, `:${port}`), cut, mend, close: cut };
}

describe('a registry that is away', () => {
  it('holds up neither a restart nor known ids, only what needs it', async () => {
    const way = await openWay();
    const env = { SCHEMA_REGISTRY_URL: way.url, STATE_DIRECTORY: join(lake.directory, 'state-c') };
    const rowsNow = () => lake.count(`select count(*) from ${lake.table}`);
    const rejectsNow = () => lake.count(`select count(*) from ${lake.deadLetter}`);
    const first = await lake.startPipeline(env);
    await first.ready();
    await send([goodClick(), goodClick()]);
    await lake.caughtUp();
    await first.stop('SIGKILL');
    way.cut();
    const [rows, rejects] = [await rowsNow(), await rejectsNow()];

    const second = await lake.startPipeline(env);
    await second.ready();
    await send(Array.from({ length: 12 }, goodClick));
    await lake.caughtUp();
    expect(await rowsNow()).toBe(rows + 12);

    const late = { ...richSchema, name: 'LateClick' } as AvroObject;
    const { schemaId } = await registry.register(`${lake.name}-late`, late);
    await send([withFrame(schemaId, richBody())]);
    const awaited = 'tributary_schemas_awaited';
    await until('it waits for the schema', async () => (await second.metric(awaited)) === 1);
    await until('it says so', () => saysWaiting(second, schemaId));
    expect(second.output()).toContain(`loading schema ${schemaId} from the registry`);
    const mine = { partition: 5, key: null, value: Buffer.from(goodClick()) };
    await producer.send(lake.topic, [{ ...mine, timestamp: String(Date.now()) }]);
    await until('others go on', async () => (await rowsNow()) === rows + 13);
    expect(await rejectsNow(), 'and nothing is refused').toBe(rejects);

    await way.mend();
    await lake.caughtUp();
    expect(await rowsNow()).toBe(rows + 14);
    expect(await rejectsNow()).toBe(rejects);
    expect((await fetch(`${second.url}/readyz`)).status).toBe(200);
    await stopCleanly(second);
    way.close();
  });
});

async function saysWaiting(pipeline: Pipeline, schemaId: number): Promise<boolean> {
  const response = await fetch(`${pipeline.url}/readyz`);
  return response.status === 503 && (await response.text()).includes(`schema ${schemaId}`);
}
