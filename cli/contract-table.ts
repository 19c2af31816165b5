import { newTableMetadata } from '@iceberg-js/rest-client-shim/spec/new-table.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import { EnrichError } from '../enrich/error.ts';
import { eventFields } from '../enrich/pipeline/event-fields.ts';
import { planTable } from '../enrich/pipeline/plan-table.ts';
import type { ContractFinding } from '../schemas/contract-finding.ts';
import { ContractError } from '../schemas/error.ts';
import type { ContractReport } from './contract-text.ts';
import type { LoadedConfig } from './load-config.ts';
import { lookAtCatalog } from './look.ts';
import { openCatalog } from './open-lake.ts';
import { previewNewTable, previewTable } from './preview-table.ts';
import type { ColumnOutcome, TablePreview } from './preview-table.ts';

/**
 * What the contracts would do to the table in the catalog, as the pipeline plans it, and its metadata; undefined where
 * there is none yet. Errors: `unavailable`.
 */
export async function previewInCatalog(
  loaded: LoadedConfig,
): Promise<{ preview: TablePreview; metadata: TableMetadata | undefined }> {
  const { config } = loaded;
  const { namespace, name } = config.table;
  const find = async () =>
    (await openCatalog(config, { look: true })).loadTable({ namespace, name });
  const metadata = (await lookAtCatalog(config, find()))?.metadata;
  return { preview: previewOf(loaded, metadata, 'the catalog'), metadata };
}

/** The same for the table as the pipeline file and the contracts of a ref would have made it. Errors: `config`. */
export function previewAtRef(loaded: LoadedConfig, older: LoadedConfig, ref: string): TablePreview {
  return previewOf(loaded, tableAtRef(older, ref), `git ${ref}`);
}

function previewOf(
  { config, contracts }: LoadedConfig,
  metadata: TableMetadata | undefined,
  from: string,
): TablePreview {
  const { namespace, name } = config.table;
  const table = [...namespace, name].join('.');
  const columns = eventFields({ config, ...contracts });
  if (metadata === undefined) return previewNewTable({ table, from, columns });
  const { evolution, refused, left } = planTable({ config, ...contracts, metadata });
  const plan = { ...(evolution ?? unchanged), refused, left };
  const takesNewFields = config.stream.evolution.allow.has('add-field');
  return previewTable({ table, from, metadata, columns, plan, takesNewFields });
}

const unchanged = { changes: [], requirements: [], updates: [] };

/** Ids are given as catalogs give them; only that counts here. */
function tableAtRef({ config, contracts }: LoadedConfig, ref: string): TableMetadata {
  const { namespace, name } = config.table;
  try {
    const request = {
      identifier: { namespace, name },
      schema: { schemaId: 0, fields: eventFields({ config, ...contracts }) },
      partitionSpec: { specId: 0, fields: [] },
      sortOrder: { orderId: 0, fields: [] },
      properties: {},
    };
    return newTableMetadata(request, { location: '', tableUuid: '', nowMs: 0 });
  } catch (cause) {
    if (!(cause instanceof ContractError)) throw cause;
    throw new EnrichError('config', `the files of git ${ref} make no table`, { cause });
  }
}

/** What the preview of a table tells, as the report of a check: what is refused is a break, and no other change is. */
export function reportOnTable({ table, from, exists, columns }: TablePreview): ContractReport {
  const findings = exists ? columns.map((outcome) => findingOf(outcome, from)) : [];
  const report = { contract: table, role: 'table', against: from, findings };
  return exists ? report : { ...report, level: 'none' };
}

function findingOf(of: ColumnOutcome, against: string): ContractFinding {
  const { column: field, outcome: rule, what, queries, instead } = of;
  const isRefused = rule === 'refused';
  return {
    severity: isRefused ? 'breaking' : 'note',
    breaks: isRefused ? 'the table' : 'nobody',
    field,
    rule,
    against,
    message: isRefused ? what : `is ${rule}: ${what}; queries: ${queries}`,
    instead,
  };
}
