import type {
  Catalog,
  LoadedTable,
  TableIdentifier,
} from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import type { Contract } from '../../schemas/contract.ts';
import {
  deriveDeadLetterSchema,
  reconcileFieldIds,
  topicIdColumn,
} from '../../schemas/table-schema.ts';
import { EnrichError } from '../error.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { eventFields } from './event-fields.ts';
import { planTable } from './plan-table.ts';
import type { TablePlan } from './plan-table.ts';
import { partitionField, sortField } from './table-layout.ts';

/** A table that the pipeline appends to. `metadata` is the newest that we have seen. */
export type TableHandle = {
  identifier: TableIdentifier;
  metadata: TableMetadata;
};

/** A table whose columns stay as they are; field ids, as the table assigned them, by column name. */
export type FixedTableHandle = TableHandle & { fieldIds: ReadonlyMap<string, number> };

export type PipelineTables = { events: TableHandle; deadLetter: FixedTableHandle };

/**
 * Loads the events table and the dead-letter table, creating what is missing from the contracts and
 * pipeline.yaml. A table that lacks a column we write, or has it in another type, is `config`, unless the events table may be
 * evolved: then the first commit does.
 */
export async function openTables(options: {
  catalog: Catalog;
  config: PipelineConfig;
  stream: Contract;
  dimensions: ReadonlyMap<string, Contract>;
}): Promise<PipelineTables> {
  const { catalog, config } = options;
  const { namespace, name } = config.table;
  await catalog.ensureNamespace(namespace);
  const identifier = { namespace, name };
  const { metadata } = await openTable(catalog, {
    identifier,
    fields: eventFields(options),
    partition: config.table.partition,
    sort: config.table.sort,
    properties: tableProperties(config),
    ...(config.table.location === undefined ? {} : { location: config.table.location }),
  });
  const { refused } = planTable({ ...options, metadata });
  if (refused.length > 0) throw unfit(identifier, refusalTexts(identifier, refused));
  return { events: { identifier, metadata }, deadLetter: await openDeadLetters(options) };
}

async function openDeadLetters({
  catalog,
  config,
}: {
  catalog: Catalog;
  config: PipelineConfig;
}): Promise<FixedTableHandle> {
  const { namespace, deadLetterName } = config.table;
  const identifier = { namespace, name: deadLetterName };
  const fields = deriveDeadLetterSchema();
  const { metadata } = await openTable(catalog, {
    identifier,
    fields,
    partition: ['day(_ingested_at)'],
    sort: [],
    properties: tableProperties(config),
  });
  const tableSchema = metadata.schemas.find(
    ({ schemaId }) => schemaId === metadata.currentSchemaId,
  );
  if (tableSchema === undefined) throw unfit(identifier, ['it has no current schema']);
  const present = new Set(tableSchema.fields.map(({ name }) => name));
  const written = fields.filter(({ name }) => present.has(name) || name !== topicIdColumn);
  const table = [...namespace, deadLetterName].join('.');
  const { fieldIds, differences } = reconcileFieldIds(written, tableSchema, table);
  if (differences.length > 0) throw unfit(identifier, differences);
  return { identifier, metadata, fieldIds };
}

/** Why the table does not get columns, in words; with the statement that makes one optional. */
export function refusalTexts(
  { namespace, name }: TableIdentifier,
  refused: TablePlan['refused'],
): string[] {
  const table = [...namespace, name].join('.');
  return refused.map(({ column, kind, by, reason }) => {
    const isOurs = by === 'policy' && kind === 'make-optional';
    const statement = `alter table ${table} alter column ${column} drop not null`;
    return `column ${column} ${reason}${isOurs ? ` (in Trino: ${statement})` : ''}`;
  });
}

/** `config`: the table is not what is written to it; says what to do. */
export function unfit(
  { namespace, name }: TableIdentifier,
  reasons: readonly string[],
): EnrichError {
  return new EnrichError(
    'config',
    `table ${[...namespace, name].join('.')} does not fit pipeline.yaml and the contracts: ` +
      `${reasons.join('; ')}. Alter the table, allow the change under evolution, or name another table in pipeline.yaml`,
  );
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
  partition: readonly string[];
  sort: readonly string[];
  properties: Record<string, string>;
  location?: string;
};

async function openTable(catalog: Catalog, wish: TableWish): Promise<LoadedTable> {
  return (await catalog.loadTable(wish.identifier)) ?? createOrLoad(catalog, wish);
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
