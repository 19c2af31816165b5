import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { writeFrame } from '../../generate/avro.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { openTrino } from '../../verify/trino.ts';
import { avscType } from '../schemas/avro-encoding.ts';
import { documentedTypes } from '../schemas/documented-types.ts';
import { repository } from '../stack/compose-file.ts';
import { endpoints } from '../stack/endpoints.ts';
import { asPipeline, freePort, startCommand, stopCleanly, until } from './command.ts';
import type { Pipeline } from './command.ts';
import { findPython, runPython } from './python.ts';
import { typeValues } from './type-values.ts';
import type { TypeValue } from './type-values.ts';

/** A documented type as a required and as an optional column, with what each row writes and shows. */
type Column = {
  name: string;
  avro: unknown;
  trino: string;
  required: boolean;
  values: readonly TypeValue[];
};

const name = `every_type_${process.pid}_${Date.now() % 100_000}`;
const columns = columnsOf();
const rowCount = Math.max(...columns.map(({ values }) => values.length));
/** Rows of the table in their order, as Trino must show them. */
const expected = Array.from({ length: rowCount }, (_, row) =>
  columns.map((column) => valueAt(column, row)[1]),
);
const trino = openTrino({ url: endpoints.trinoUrl, user: 'test', catalog: 'lake', schema: 'lake' });
let directory: string;
let pipeline: Pipeline | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'every-type-'));
  const avroSchema = {
    type: 'record',
    name: 'Every',
    fields: [
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      ...columns.map((column) => ({ name: column.name, type: column.avro })),
    ],
  };
  await writeFile(join(directory, 'every.avsc'), JSON.stringify(avroSchema));
  await writeFile(join(directory, 'pipeline.yaml'), await pipelineFile());
  await produce(avroSchema as AvroObject);
  pipeline = await startPipeline();
  await until('every record is a row', async () => {
    pipeline?.mustBeAlive();
    return (await count().catch(() => 0)) === rowCount;
  });
});
afterAll(async () => {
  if (pipeline !== undefined) await stopCleanly(pipeline);
  await rm(directory, { recursive: true, force: true });
});

describe('every type of docs/contracts-types.md', () => {
  it('is to Trino what is documented', async () => {
    const { rows } = await trino.query(`describe ${name}`);
    const types = new Map(rows.map(([column, type]) => [column, type]));
    expect(columns.map((column) => [column.name, types.get(column.name)])).toEqual(
      columns.map((column) => [column.name, column.trino]),
    );
  });

  it.each(columns)('$trino is read by Trino as it was written, $name', async (column) => {
    const sql = `select ${column.name} from ${name} order by _kafka_offset`;
    const { rows } = await trino.query(sql);
    const at = columns.indexOf(column);
    expect(rows.map(([value]) => value)).toEqual(expected.map((row) => row[at]));
  });

  it('is null where it was null, and there alone', async () => {
    const nulls = columns.map((column) => `count_if(${column.name} is null)`);
    const { rows } = await trino.query(`select ${nulls.join(', ')} from ${name}`);
    expect(rows[0]).toEqual(
      columns.map((_, at) => expected.filter((row) => row[at] === null).length),
    );
  });

  it('is found within columns by a filter', async () => {
    const at = columns.findIndex(({ trino: type, required }) => required && type.startsWith('row'));
    const found = expected.filter((row) => (row[at] as unknown[])[1] === 3000).length;
    const filter = `${columns[at]?.name}.zip = 3000`;
    expect(found).toBeGreaterThan(0);
    expect(await count(filter)).toBe(found);
  });

  it('is read by pyiceberg as by Trino', async ({ skip }) => {
    const python = await findPython();
    if (python.kind === 'missing') return skip(`pyiceberg cannot be had here: ${python.reason}`);
    const names = columns.map((column) => column.name);
    const args = [endpoints.catalogUri, endpoints.s3Endpoint, `lake.${name}`, ...names];
    const read = await runPython(python.python, 'read-columns.py', args);
    expect(read).toEqual(expected.map((row) => row.map((value, at) => asPyiceberg(value, at))));
  });

  it('does not keep verify from finding each offset once', async () => {
    const command = startCommand([...configured(), 'verify', '--json'], environment('0'));
    expect([await command.ended, command.output()]).toEqual([0, expect.anything()]);
  });
});

/** Each documented type twice, names of its named types made its own. */
function columnsOf(): Column[] {
  const types = documentedTypes();
  const values = Object.values(typeValues);
  expect(values).toHaveLength(types.length);
  return types.flatMap(({ avro, trino: type }, index) => {
    const own = (suffix: string): unknown =>
      JSON.parse(
        avro.replaceAll(
          /"type": "(fixed|enum|record)", "name": "(\w+)"/g,
          `"type": "$1", "name": "$2${suffix}"`,
        ),
      );
    const of = values[index] ?? [];
    return [
      { name: `r${index}`, avro: own(`r${index}`), trino: type, required: true, values: of },
      {
        name: `o${index}`,
        avro: ['null', own(`o${index}`)],
        trino: type,
        required: false,
        values: [[null, null], ...of] as const,
      },
    ];
  });
}

/** The values in turn, an optional column's beginning with null. */
function valueAt({ values }: Column, row: number): TypeValue {
  return values[row % values.length] ?? [null, null];
}

/** pyiceberg 0.12 builds lists of structs anew and forgets which were null; pyarrow reads them from the same file as null. */
function asPyiceberg(value: unknown, at: number): unknown {
  const isStructList = columns[at]?.trino.startsWith('array(row') === true;
  return isStructList && value === null ? [] : asJson(value);
}

/** As a script can print it: whole numbers that a double does not hold are texts. */
function asJson(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, asJson(one)]));
}

async function count(filter = 'true'): Promise<number> {
  const { rows } = await trino.query(`select count(*) from ${name} where ${filter}`);
  return Number(rows[0]?.[0]);
}

/** pipeline.yaml as shipped, without dimensions. */
async function pipelineFile(): Promise<string> {
  const file = parseDocument(await readFile(join(repository, 'pipeline.yaml'), 'utf8'));
  file.set('pipeline', name);
  file.set('dimensions', []);
  file.setIn(['kafka', 'group'], name);
  file.setIn(['stream'], { topic: name, contract: 'every', event_time: 'at' });
  file.setIn(['readiness', 'notification_topic'], `${name}.notifications`);
  file.setIn(['table'], {
    name: `lake.${name}`,
    dead_letter: `lake.${name}_dead_letter`,
    partition: ['day(at)'],
    sort: ['at'],
  });
  return file.toString();
}

/** Rows of two days, the later ones first: they are sorted, and cut into files, with all their columns. */
async function produce(avroSchema: AvroObject): Promise<void> {
  const registry = openRegistry({ url: endpoints.registryUrl });
  const { schemaId } = await registry.register(`${name}-value`, avroSchema);
  const type = avscType(avroSchema);
  const producer = await openKafkaProducer({
    brokers: endpoints.kafkaBrokers,
    clientId: name,
    compression: 'zstd',
    log: () => undefined,
  });
  await producer.ensureTopic(`${name}.notifications`, 1, {});
  await producer.ensureTopic(name, 1, {});
  const records = expected.map((_, row) => {
    const at = 1_800_000_000_000n - BigInt(row) * 40_000_000n;
    const cells = columns.map((column) => [column.name, valueAt(column, row)[0]]);
    const body = type.toBuffer(Object.fromEntries([['at', at], ...cells]));
    const value = Buffer.alloc(body.length + 5);
    body.copy(value, writeFrame(schemaId, value, 0));
    return { partition: 0, key: null, value, timestamp: String(Date.now()) };
  });
  await producer.send(name, records);
  await producer.close();
}

function configured(): string[] {
  return ['--config', join(directory, 'pipeline.yaml'), '--contracts', directory];
}

function environment(httpPort: string): Record<string, string> {
  return {
    KAFKA_BROKERS: endpoints.kafkaBrokers.join(','),
    SCHEMA_REGISTRY_URL: endpoints.registryUrl,
    CATALOG_URI: endpoints.catalogUri,
    S3_ENDPOINT: endpoints.s3Endpoint,
    COMMIT_INTERVAL: '1s',
    STATE_DIRECTORY: join(directory, 'state'),
    HTTP_PORT: httpPort,
  };
}

async function startPipeline(): Promise<Pipeline> {
  const port = String(await freePort());
  const command = startCommand([...configured(), 'run'], environment(port));
  return asPipeline(command, `http://127.0.0.1:${port}`);
}
