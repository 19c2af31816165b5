import type { Catalog, TableIdentifier } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { Contract } from '../../schemas/contract.ts';
import {
  deriveDeadLetterSchema,
  deriveTableSchema,
  reconcileFieldIds,
  topicIdColumn,
} from '../../schemas/table-schema.ts';
import { EnrichError } from '../error.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { partitionField, sortField } from './table-layout.ts';

/** A table that the pipeline appends to. `metadata` is the newest that we have seen. */
export type TableHandle = {
  identifier: TableIdentifier;
  metadata: TableMetadata;
  /** Field ids, as the table assigned them, by column name. */
  fieldIds: ReadonlyMap<string, number>;
  fieldsByName: ReadonlyMap<string, NestedField>;
};

export type PipelineTables = { events: TableHandle; deadLetter: TableHandle };

/**
 * Loads the events table and the dead-letter table, creating what is missing from the contracts and
 * pipeline.yaml. A table that lacks a column we write, or has it in another type, is `config`.
 */
export async function openTables(options: {
  catalog: Catalog;
  config: PipelineConfig;
  stream: Contract;
  dimensions: ReadonlyMap<string, Contract>;
}): Promise<PipelineTables> {
  const { catalog, config } = options;
  const { namespace, name, deadLetterName } = config.table;
  await catalog.ensureNamespace(namespace);
  const derived = eventFields(options);
  const events = await openTable(catalog, {
    identifier: { namespace, name },
    fields: derived,
    partition: config.table.partition,
    sort: config.table.sort,
    properties: tableProperties(config),
    ...(config.table.location === undefined ? {} : { location: config.table.location }),
  });
  const deadLetter = await openTable(catalog, {
    identifier: { namespace, name: deadLetterName },
    fields: deriveDeadLetterSchema(),
    mayLack: [topicIdColumn],
    partition: ['day(_ingested_at)'],
    sort: [],
    properties: tableProperties(config),
  });
  return { events, deadLetter };
}

/** The columns that this configuration writes, with the ids that a new table would give them. */
export function eventFields(options: {
  config: PipelineConfig;
  stream: Contract;
  dimensions: ReadonlyMap<string, Contract>;
}): readonly NestedField[] {
  const { config, stream, dimensions } = options;
  return deriveTableSchema({
    streamContract: stream,
    eventTimeField: config.stream.eventTime,
    dimensions: config.dimensions.map(({ name, prefix, columns }) => {
      const contract = dimensions.get(name);
      if (contract === undefined) {
        throw new EnrichError('config', `no contract was loaded for dimension ${name}`);
      }
      return { name, prefix, columns, contract };
    }),
  });
}

/** Takes the table's newest metadata. Errors: `fenced` where it was dropped or recreated since it was opened. */
export async function reloadTable(catalog: Catalog, table: TableHandle): Promise<void> {
  const { identifier, metadata } = table;
  const loaded = await catalog.loadTable(identifier);
  if (loaded === undefined || loaded.metadata.tableUuid !== metadata.tableUuid) {
    throw tableLost(identifier, {
      context: { expected: metadata.tableUuid, found: loaded?.metadata.tableUuid },
    });
  }
  table.metadata = loaded.metadata;
}

/** `fenced`: another table stands under the name, or none; says what to do. */
export function tableLost(
  { namespace, name }: TableIdentifier,
  options: { context?: Record<string, unknown>; cause?: unknown },
): EnrichError {
  const message =
    `table ${[...namespace, name].join('.')} was dropped or recreated while the pipeline ran; start it ` +
    'again to write to the new table';
  return new EnrichError('fenced', message, options);
}

function tableProperties(config: PipelineConfig): Record<string, string> {
  return {
    'format-version': '2',
    'write.format.default': 'parquet',
    'write.parquet.compression-codec': 'zstd',
    'write.metadata.delete-after-commit.enabled': 'true',
    'write.metadata.previous-versions-max': '100',
    ...config.table.properties,
  };
}

type TableWish = {
  identifier: TableIdentifier;
  fields: readonly NestedField[];
  /** Columns that an existing table need not have. */
  mayLack?: readonly string[];
  partition: readonly string[];
  sort: readonly string[];
  properties: Record<string, string>;
  location?: string;
};

async function openTable(catalog: Catalog, wish: TableWish): Promise<TableHandle> {
  const existing = await catalog.loadTable(wish.identifier);
  const loaded = existing ?? (await createOrLoad(catalog, wish));
  return handleOf(wish, loaded.metadata);
}

async function createOrLoad(catalog: Catalog, wish: TableWish) {
  const { identifier, fields, properties, location } = wish;
  try {
    return await catalog.createTable({
      identifier,
      schema: { schemaId: 0, fields },
      partitionSpec: {
        specId: 0,
        fields: wish.partition.map((text, index) => partitionField(fields, text, index)),
      },
      sortOrder: {
        orderId: wish.sort.length === 0 ? 0 : 1,
        fields: wish.sort.map((column) => sortField(fields, column)),
      },
      properties,
      ...(location === undefined ? {} : { location }),
    });
  } catch (error) {
    // Another process may have created it between our look and our wish.
    const loaded = await catalog.loadTable(identifier);
    if (loaded === undefined) throw error;
    return loaded;
  }
}

function handleOf(wish: TableWish, metadata: TableMetadata): TableHandle {
  const tableSchema = metadata.schemas.find(
    ({ schemaId }) => schemaId === metadata.currentSchemaId,
  );
  const qualified = [...wish.identifier.namespace, wish.identifier.name].join('.');
  if (tableSchema === undefined) {
    throw new EnrichError('config', `table ${qualified} has no current schema`);
  }
  const present = new Set(tableSchema.fields.map(({ name }) => name));
  const written = wish.fields.filter(
    ({ name }) => present.has(name) || wish.mayLack?.includes(name) !== true,
  );
  const { fieldIds, differences } = reconcileFieldIds(written, tableSchema, qualified);
  if (differences.length > 0) {
    throw new EnrichError(
      'config',
      `table ${qualified} does not fit pipeline.yaml and the contracts: ${differences.join('; ')}. ` +
        'Alter the table, or name another one in pipeline.yaml',
    );
  }
  const fieldsByName = new Map(tableSchema.fields.map((field) => [field.name, field]));
  return { identifier: wish.identifier, metadata, fieldIds, fieldsByName };
}
