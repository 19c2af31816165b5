import type { EvolutionConfig } from '../../../enrich/config/pipeline-config.ts';
import type { AvroObject } from '../../../schemas/contract.ts';
import { avscType } from '../../schemas/avro-encoding.ts';
import { pipelineConfig } from './harness.ts';
import type { Process, World } from './harness.ts';
import { frame, topicOf } from './records.ts';
import type { DimensionName } from './records.ts';

/** The columns of a table by name, as the Avro types that Debezium has for them. */
export type Columns = Readonly<Record<string, unknown>>;

const keyTypes = {
  users: { user_id: 'long' },
  devices: { device_id: 'string' },
  urls: { url_id: 'long' },
} as const;

export type Policy = EvolutionConfig['policy'];

/** The dimensions as shipped, each with this policy for changes of the source. */
export function under(policy: Policy, allow: EvolutionConfig['allow'] = new Set()) {
  const { dimensions } = pipelineConfig();
  const evolution = { policy, allow };
  return { dimensions: dimensions.map((dimension) => ({ ...dimension, evolution })) };
}

/** How many partitions of dimensions wait. */
export async function paused({ metrics }: Process): Promise<number> {
  const { values } = await metrics.partitionsPaused.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

let lsn = 100_000n;

/** Appends a change of a row as Debezium writes it in Avro, under the schema that the table has now; gives its id. */
export async function writeChange(
  world: World,
  of: {
    dimension: DimensionName;
    partition?: number;
    /** Beside the key. */
    columns: Columns;
    /** What the table calls its key now. */
    keyName?: string;
    key: number | string;
    /** None for a deletion. */
    row?: Readonly<Record<string, unknown>>;
  },
): Promise<number> {
  const { dimension, partition = 0, columns, key, row } = of;
  const topic = topicOf[dimension];
  const [[ownName, ownType] = ['', '']] = Object.entries(keyTypes[dimension]);
  const { keyName = ownName } = of;
  const keyType = { [keyName]: ownType };
  const keySchema = recordOf('Key', keyType);
  const valueSchema = envelopeOf(topic, { ...keyType, ...columns });
  const { schemaId: keyId } = await world.registry.register(`${topic}-key`, keySchema);
  const { schemaId } = await world.registry.register(`${topic}-value`, valueSchema);
  const keyed = { [keyName]: key };
  const nulls = Object.fromEntries(Object.keys(columns).map((name) => [name, null]));
  lsn += 1n;
  const envelope = {
    before: null,
    after: row === undefined ? null : { ...nulls, ...keyed, ...row },
    source: { lsn, snapshot: 'false' },
    op: row === undefined ? 'd' : 'u',
  };
  world.log.append(topic, partition, [
    {
      key: frame(keyId, avscType(keySchema).toBuffer(keyed)),
      value: frame(schemaId, avscType(valueSchema).toBuffer(envelope)),
    },
  ]);
  return schemaId;
}

function recordOf(name: string, columns: Columns): AvroObject {
  const fields = Object.entries(columns).map(([field, type]) => ({ name: field, type }));
  return { type: 'record', name, fields } as AvroObject;
}

function envelopeOf(topic: string, columns: Columns): AvroObject {
  const namespace = topic.replaceAll('-', '_');
  const optional = Object.entries(columns).map(([name, type], index) => [
    name,
    index === 0 ? type : ['null', type],
  ]);
  const value = recordOf('Value', Object.fromEntries(optional) as Columns);
  return {
    ...recordOf('Envelope', {
      before: ['null', value],
      after: ['null', 'Value'],
      source: recordOf('Source', { lsn: 'long', snapshot: 'string' }),
      op: 'string',
    }),
    namespace,
  };
}
