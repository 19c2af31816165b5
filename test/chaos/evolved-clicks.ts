import { openStore } from '@iceberg-js/rest-client-shim/store/open-store.ts';
import avsc from 'avsc';
import { FRAME_BYTES, openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import type { Click } from '../../generate/clicks.ts';
import type { ProducerRecord } from '../../generate/kafka-producer.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import type { AvroField, AvroObject } from '../../schemas/contract.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { currentSchema } from '../../verify/scan-rows.ts';
import { openTableReader } from '../../verify/table-reader.ts';
import { numberAt } from '../../verify/table-rows.ts';
import type { Cell } from '../../verify/table-rows.ts';
import type { Rewriter } from './load.ts';
import { withFinding } from './proof.ts';
import type { Proof, Round } from './round.ts';

const campaign: AvroField = { name: 'campaign', type: ['null', 'string'], default: null };
const longDuration: AvroField = { name: 'duration_ms', type: ['null', 'long'], default: null };

/** What the producer switches to, one after the other: a field more, then a wider one as well. */
const stages = { added: [campaign], widened: [campaign, longDuration] } as const;

export type Stage = keyof typeof stages;

/** No int, so that a column which was not widened could not hold it. */
const LONG = 2 ** 40;

const recordBytesMax = 4_096;

/** A producer of clicks that switches its schema, and what it has sent since. */
export type EvolvedClicks = {
  /** What the load is to go through from now on. */
  switchTo: (stage: Stage) => Promise<Rewriter>;
  /** Clicks that were sent with that schema. */
  count: (stage: Stage) => number;
  /** Whether the table has the columns of a stage. */
  isIn: (stage: Stage) => Promise<boolean>;
  /** Adds to a proof that every row has what its own producer wrote into the columns, and no other row has any of it. */
  prove: (proof: Proof) => Promise<Proof>;
};

/** Clicks of the generator in other schemas. What cannot be decoded stays what it is. */
export async function openEvolvedClicks(round: Round): Promise<EvolvedClicks> {
  const { avroSchema: contract } = await loadContract('schemas', 'click');
  const registry = openRegistry({ url: round.endpoints.registryUrl });
  const idOf = async (avroSchema: AvroObject): Promise<number> =>
    (await registry.register(`${round.names.topic}-value`, avroSchema)).schemaId;
  const contractId = await idOf(contract);
  /** By `partition/offset`. */
  const sent = new Map<string, Stage>();
  return {
    async switchTo(stage) {
      const avroSchema = evolved(contract, stage);
      const schemaId = await idOf(avroSchema);
      const rewrite = openRewrite({ contract, contractId, avroSchema, schemaId, stage });
      return {
        rewrite,
        sent(records, base) {
          const next = new Map(base);
          for (const { partition, value } of records) {
            const offset = next.get(partition) ?? 0n;
            next.set(partition, offset + 1n);
            if (schemaIdOf(value) === schemaId) sent.set(`${partition}/${offset}`, stage);
          }
        },
      };
    },
    count: (stage) => [...sent.values()].filter((one) => one === stage).length,
    async isIn(stage) {
      const metadata = await round.metadata();
      const fields = metadata === undefined ? [] : currentSchema(metadata).fields;
      return stages[stage].every(({ name }) =>
        fields.some((field) => field.name === name && field.type === columnTypes[name]),
      );
    },
    prove: (proof) => proveColumns(round, proof, sent),
  };
}

const columnTypes: Readonly<Record<string, string>> = { campaign: 'string', duration_ms: 'long' };

function evolved(contract: AvroObject, stage: Stage): AvroObject {
  const fields = stages[stage];
  const names = new Set(fields.map(({ name }) => name));
  return {
    ...contract,
    fields: [...(contract.fields ?? []).filter(({ name }) => !names.has(name)), ...fields],
  };
}

/** What a row must have is told by its user, so that each row can be judged alone. */
function valuesOf(
  stage: Stage | undefined,
  userId: number,
): { campaign: string | null; long: number | null } {
  return {
    campaign: stage === undefined ? null : `${stage}-${userId}`,
    long: stage === 'widened' ? LONG + userId : null,
  };
}

function openRewrite(of: {
  contract: AvroObject;
  contractId: number;
  avroSchema: AvroObject;
  schemaId: number;
  stage: Stage;
}): Rewriter['rewrite'] {
  const { contract, contractId, avroSchema, schemaId, stage } = of;
  const type = avsc.Type.forSchema(contract as avsc.Schema, { logicalTypes: {} });
  const encode = openAvroEncoder(avroSchema);
  return (records) =>
    records.map((record): ProducerRecord => {
      const { value } = record;
      const click = schemaIdOf(value) === contractId ? soundClick(type, value) : undefined;
      if (click === undefined) return record;
      const { campaign: text, long } = valuesOf(stage, click.user_id);
      const buffer = Buffer.alloc(recordBytesMax);
      const next = { ...click, campaign: text, duration_ms: long ?? click.duration_ms };
      const end = encode(next, buffer, writeFrame(schemaId, buffer, 0));
      if (end < 0) throw new Error(`a click of more than ${recordBytesMax} bytes`);
      return { ...record, value: buffer.subarray(0, end) };
    });
}

function schemaIdOf(value: Buffer | null): number | undefined {
  return value === null || value.length < FRAME_BYTES || value[0] !== 0
    ? undefined
    : value.readInt32BE(1);
}

/** A click whose bytes are exactly what its values are written as: no damage must be mended on the way. */
function soundClick(type: avsc.Type, value: Buffer | null): Click | undefined {
  const body = value?.subarray(FRAME_BYTES);
  if (body === undefined) return undefined;
  try {
    const click = type.fromBuffer(body) as Click;
    return type.toBuffer(click).equals(body) ? click : undefined;
  } catch {
    return undefined;
  }
}

async function proveColumns(
  round: Round,
  proof: Proof,
  sent: ReadonlyMap<string, Stage>,
): Promise<Proof> {
  const metadata = await round.metadata();
  if (metadata === undefined) throw new Error('there is no table');
  const { s3Endpoint, s3AccessKeyId, s3SecretAccessKey } = round.endpoints;
  const { store, close } = openStore(metadata.location, {
    s3: {
      region: 'us-east-1',
      pathStyle: true,
      endpoint: s3Endpoint,
      accessKeyId: s3AccessKeyId,
      secretAccessKey: s3SecretAccessKey,
    },
  });
  const columns = ['_kafka_partition', '_kafka_offset', 'user_id', 'campaign', 'duration_ms'];
  const rows: Record<Stage | 'before', number> = { before: 0, added: 0, widened: 0 };
  const wrong: string[] = [];
  try {
    for await (const block of openTableReader(store).readRows(metadata, columns)) {
      const [partitions = [], offsets = [], users = [], texts = [], durations = []] = columns.map(
        (name) => block.column(name),
      );
      for (let row = 0; row < block.rowCount; row += 1) {
        const place = `${numberAt(partitions, row)}/${numberAt(offsets, row)}`;
        const stage = sent.get(place);
        rows[stage ?? 'before'] += 1;
        const expected = valuesOf(stage, numberAt(users, row));
        const found = { campaign: texts[row] ?? null, long: longOf(durations[row] ?? null) };
        if (found.campaign === expected.campaign && found.long === expected.long) continue;
        wrong.push(`${place}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(found)}`);
      }
    }
  } finally {
    close();
  }
  for (const [stage, count] of Object.entries(rows)) {
    if (count === 0) wrong.push(`no row is ${stage}`);
  }
  const schemas = 1 + Object.keys(stages).length;
  if (metadata.schemas.length !== schemas) {
    wrong.push(`expected ${schemas} schemas of the table, got ${metadata.schemas.length}`);
  }
  if (wrong.length === 0) return proof;
  const text = `${wrong.length} wrong in the columns that were added: ${wrong.slice(0, 5).join('; ')}`;
  return withFinding(proof, 'wrong', text);
}

/** Durations of before are random, and all of them ints. */
function longOf(cell: Cell): number | null {
  return cell !== null && Number(cell) >= LONG ? Number(cell) : null;
}
