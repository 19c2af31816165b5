import { frameBytes } from '../../connectors/framing.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';
import { createCodecCache } from '../../schemas/codec-cache.ts';
import { contractFields } from '../../schemas/contract-field.ts';
import type { ContractField } from '../../schemas/contract-field.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';
import type { Registry } from '../../schemas/registry.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { DecodeFailure, RowBuffer } from '../../schemas/row-buffer.ts';
import { readSchemaId } from '../../schemas/row-decoder.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import type { SchemaCache } from '../../schemas/schema-cache.ts';
import { frameFailure } from '../core/take-records.ts';
import type { LogRecord } from '../source/newest-records.ts';

/** Records that are refused for one reason. */
type RefusedRecords = DecodeFailure & {
  count: number;
  /** How many of them the older contract takes. */
  newly: number;
  /** The first of them: `partition/offset`. */
  example: string;
};

export type TrialResult = {
  records: number;
  accepted: number;
  /** The most frequent reason first. */
  refused: readonly RefusedRecords[];
  /** Records by the schema that they name, the most frequent first. */
  schemas: readonly { schemaId: number; records: number }[];
  /** Fields of the contract that the schema of no record that is taken has: what is read is their default. */
  unwritten: readonly string[];
  /** Fields that are written, and null in every record. */
  alwaysNull: readonly string[];
  /** Fields that records which are taken have, and the contract leaves out. */
  leftOut: readonly string[];
};

export type RecordTrial = {
  /** Errors: those of the registry. */
  add(records: readonly LogRecord[]): Promise<void>;
  result(): TrialResult;
};

/** Damaged bytes can name any number of unknown ids; all else gives fewer reasons. */
const REASONS_MAX = 1_000;

/**
 * Decodes records as the pipeline would under a contract and counts what comes of it; where an older contract is given,
 * also what that one makes of those that are refused. Nothing is kept of a record. Errors: `config` for a contract.
 */
export function createRecordTrial(options: {
  registry: Pick<Registry, 'schemaById'>;
  contract: Contract;
  older?: Contract;
  elapsedMs: () => number;
}): RecordTrial {
  const { registry, contract, older, elapsedMs } = options;
  const schemas = createSchemaCache({ registry, elapsedMs });
  const decode = createDecode(schemas, contract);
  const decodeOlder = older === undefined ? undefined : createDecode(schemas, older);
  const counts = { records: 0, accepted: 0 };
  const refused = new Map<string, RefusedRecords>();
  const bySchema = new Map<number, number>();
  const readBy = new Set<number>();
  const filled = new Set<string>();

  const addOne = ({ partition, offset, value }: LogRecord, schemaId: number): void => {
    counts.records += 1;
    if (schemaId >= 0) bySchema.set(schemaId, (bySchema.get(schemaId) ?? 0) + 1);
    const outcome = decode(value, schemaId);
    if ('columns' in outcome) {
      counts.accepted += 1;
      readBy.add(schemaId);
      for (const { name, valid } of outcome.columns) if (valid[0] === 1) filled.add(name);
      return;
    }
    const wasTaken = decodeOlder !== undefined && 'columns' in decodeOlder(value, schemaId);
    const example = `${partition}/${offset}`;
    countRefused(refused, { ...outcome, count: 1, newly: wasTaken ? 1 : 0, example });
  };
  return {
    async add(records) {
      for (const record of records) {
        const { value } = record;
        const schemaId = value === null ? -1 : readSchemaId(value, 0, value.length);
        const isAsked = schemas.resolve(schemaId) !== undefined || schemas.isUnknown(schemaId);
        if (schemaId >= 0 && !isAsked) await schemas.load(schemaId);
        addOne(record, schemaId);
      }
    },
    result: () => ({
      ...counts,
      refused: [...refused.values()].toSorted((a, b) => b.count - a.count),
      schemas: [...bySchema]
        .map(([schemaId, records]) => ({ schemaId, records }))
        .toSorted((a, b) => b.records - a.records),
      ...compareFields(contractFields(contract), writtenFields(schemas, readBy), filled),
    }),
  };
}

/** Gives the row of a record until the next one, or why it is none. */
function createDecode(
  schemas: SchemaCache,
  contract: Contract,
): (value: Uint8Array | null, schemaId: number) => DecodeFailure | RowBuffer {
  const codecs = createCodecCache({ schemas, contract });
  const rows = createRowBuffer(contract, 1);
  return (value, schemaId) => {
    const decoder = schemaId < 0 ? undefined : codecs.decoder(schemaId);
    if (value === null || decoder === undefined || decoder === 'unknown') {
      return frameFailure(value === null ? -1 : value.length, schemaId);
    }
    rows.rowCount = 0;
    return decoder.append(value, frameBytes, value.length, rows) ?? rows;
  };
}

function countRefused(refused: Map<string, RefusedRecords>, one: RefusedRecords): void {
  const key = `${one.kind}: ${one.message}`;
  const before = refused.get(key);
  if (before === undefined) {
    if (refused.size < REASONS_MAX) refused.set(key, one);
    return;
  }
  refused.set(key, { ...before, count: before.count + 1, newly: before.newly + one.newly });
}

/** Names of all fields that records of these schemas have; undefined where none of them is known. */
function writtenFields(
  schemas: SchemaCache,
  schemaIds: Iterable<number>,
): ReadonlySet<string> | undefined {
  const known = [...schemaIds].flatMap((schemaId) => schemas.resolve(schemaId) ?? []);
  return known.length === 0 ? undefined : new Set(known.flatMap(fieldNames));
}

function compareFields(
  fields: readonly ContractField[],
  written: ReadonlySet<string> | undefined,
  filled: ReadonlySet<string>,
): Pick<TrialResult, 'unwritten' | 'alwaysNull' | 'leftOut'> {
  if (written === undefined) return { unwritten: [], alwaysNull: [], leftOut: [] };
  const isWritten = (field: ContractField): boolean =>
    namesOf(field).some((name) => written.has(name));
  const taken = new Set(fields.flatMap(namesOf));
  const [there, lacking] = [fields.filter(isWritten), fields.filter((field) => !isWritten(field))];
  return {
    unwritten: lacking.map(({ name }) => name),
    alwaysNull: there.map(({ name }) => name).filter((name) => !filled.has(name)),
    leftOut: [...written].filter((name) => !taken.has(name)),
  };
}

function namesOf({ name, aliases }: ContractField): string[] {
  return [name, ...aliases];
}

function fieldNames(avroSchema: AvroObject): string[] {
  try {
    const node = parseAvroType(avroSchema);
    return node.kind === 'record' ? node.fields.map(({ name }) => name) : [];
  } catch (error) {
    if (error instanceof ContractError) return [];
    throw error;
  }
}
