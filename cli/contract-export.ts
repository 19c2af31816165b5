import { yamlText } from '../configuration/yaml-text.ts';
import type { DimensionConfig, PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { partitionField } from '../enrich/pipeline/table-layout.ts';
import { eventFields } from '../enrich/pipeline/event-fields.ts';
import { parseAvroType } from '../schemas/avro-type.ts';
import type { Contract } from '../schemas/contract.ts';
import { odcsOfColumn, odcsOfField } from '../schemas/odcs-property.ts';
import type { OdcsProperty } from '../schemas/odcs-property.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { terminal } from './terminal.ts';

type ExportOptions = ConfigOptions & { release: string };

type OdcsObject = {
  name: string;
  physicalName: string;
  physicalType: 'topic' | 'table';
  logicalType: 'object';
  description?: string;
  properties: readonly OdcsProperty[];
};

/** Prints the contracts, and the table that they make, as one document of the Open Data Contract Standard v3.1.0. */
export async function exportContracts(options: ExportOptions): Promise<void> {
  const { config, contracts } = await loadConfig(options);
  const objects = [
    streamObject(config, contracts.stream),
    ...config.dimensions.flatMap((dimension) => {
      const contract = contracts.dimensions.get(dimension.name);
      return contract === undefined ? [] : [dimensionObject(dimension, contract)];
    }),
    tableObject({ config, contracts }),
  ];
  const document = {
    apiVersion: 'v3.1.0',
    kind: 'DataContract',
    id: config.pipeline,
    name: config.pipeline,
    version: options.release,
    status: 'active',
    schema: objects,
  };
  terminal.print(yamlText(document).trimEnd());
}

function streamObject(config: PipelineConfig, contract: Contract): OdcsObject {
  const { topic } = config.stream;
  return topicObject({ name: contract.name, topic, contract }, (property) => {
    const joined = config.dimensions.filter(({ streamField }) => streamField === property.name);
    const relationships = joined
      .map(({ name, joinKey }) => `${name}.${joinKey}`)
      .filter((to) => /^[A-Za-z_]\w*\.[A-Za-z_]\w*$/.test(to))
      .map((to) => ({ type: 'foreignKey' as const, to }));
    return relationships.length === 0 ? property : { ...property, relationships };
  });
}

function dimensionObject({ name, topic, primaryKey }: DimensionConfig, contract: Contract) {
  return topicObject({ name, topic, contract }, (property) =>
    property.name === primaryKey
      ? { ...property, primaryKey: true, primaryKeyPosition: 1 }
      : property,
  );
}

function topicObject(
  of: { name: string; topic: string; contract: Contract },
  complete: (property: OdcsProperty) => OdcsProperty,
): OdcsObject {
  const { name, topic, contract } = of;
  const node = parseAvroType(contract.avroSchema);
  const fields = node.kind === 'record' ? node.fields : [];
  const { doc } = contract.avroSchema;
  return {
    name,
    physicalName: topic,
    physicalType: 'topic',
    logicalType: 'object',
    ...(doc === undefined ? {} : { description: doc }),
    properties: fields.map((field) => complete(odcsOfField(field))),
  };
}

/** Each record of the topic is one row at most: partition and offset identify it. */
const rowKey = ['_kafka_partition', '_kafka_offset'];

function tableObject({ config, contracts }: LoadedConfig): OdcsObject {
  const { namespace, name, partition } = config.table;
  const fields = eventFields({ config, ...contracts });
  const sources = partition.map((text, index) => partitionField(fields, text, index).sourceId);
  return {
    name,
    physicalName: [...namespace, name].join('.'),
    physicalType: 'table',
    logicalType: 'object',
    description:
      'One row for each record of the stream, with what the dimensions held when it was joined.',
    properties: fields.map((field) => ({
      ...odcsOfColumn(field),
      ...positionOf(rowKey.indexOf(field.name), 'primaryKey', 'primaryKeyPosition'),
      ...positionOf(sources.indexOf(field.id), 'partitioned', 'partitionKeyPosition'),
    })),
  };
}

function positionOf(index: number, is: string, position: string): Partial<OdcsProperty> {
  return index < 0 ? {} : { [is]: true, [position]: index + 1 };
}
