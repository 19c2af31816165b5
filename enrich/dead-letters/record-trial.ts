import { frameBytes, readSchemaId } from '../../connectors/framing.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';
import { contractFields } from '../../schemas/contract-field.ts';
import type { ContractField } from '../../schemas/contract-field.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';
import type { Registry } from '../../schemas/registry.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { RowBuffer } from '../../schemas/row-buffer.ts';
import { createRowDecoder } from '../../schemas/row-decoder.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import type { SchemaCache } from '../../schemas/schema-cache.ts';
import { changeText, changeTexts } from '../core/judge-schema.ts';
import type { SchemaVerdict } from '../core/judge-schema.ts';
import { frameFailure } from '../core/take-records.ts';
import type { JudgeWriter } from '../pipeline/judge-writer.ts';
import type { LogRecord } from '../source/newest-records.ts';

/** Records that are refused, or held up by the policy, for one reason. */
type RefusedRecords = {
  /** As in the dead-letter table; `pause` and `fail` for what the policy does. */
  kind: string;
  message: string;
  count: number;
  /** How many of them the older contract takes. */
  newly: number;
  /** The first of them: `partition/offset`. */
  example: string;
};

export type TrialResult = {
  records: number;
  accepted: number;
  /** Records that are not accepted and that the older contract takes. */
  newlyRefused: number;
  /** The most frequent reason first; some may be left out, and their records with them. */
  refused: readonly RefusedRecords[];
  /** Records by the schema that they name, the most frequent first. */
  schemas: readonly { schemaId: number; records: number }[];
  /** Fields of the contract that the schema of no record that is taken has: what is read is their default. */
  unwritten: readonly string[];
  /** Fields that are written, and null in every record. */
  alwaysNull: readonly string[];
  /** Fields, within records too, that records which are taken have, and that neither the contract nor the table takes. */
  leftOut: readonly string[];
  /** How schemas of records make the contract grow, in words. */
  followed: readonly string[];
};

export type RecordTrial = {
  /** Errors: those of the registry. */
  add(records: readonly LogRecord[]): Promise<void>;
  result(): TrialResult;
};

/** How many reasons are told apart: damaged bytes can name any number of unknown ids. */
const REASONS_MAX = 1_000;

/**
 * Decodes records as the pipeline would under a contract and its policy, and counts what comes of it; where an older
 * contract is given, also what becomes under that one of those that are refused. Nothing is kept of a record. Errors:
 * `config` for a contract.
 */
export function createRecordTrial(options: {
  registry: Pick<Registry, 'schemaById'>;
  contract: Contract;
  older?: Contract;
  judge: JudgeWriter;
  elapsedMs: () => number;
}): RecordTrial {
  const { registry, contract, older, judge, elapsedMs } = options;
  const schemas = createSchemaCache({ registry, elapsedMs });
  const followed = new Map<string, string>();
  const skipped = new Map<number, readonly string[]>();
  const onRead: OnRead = (schemaId, verdict) => {
    for (const change of verdict.followed) {
      followed.set(change.field, `schema ${schemaId}: ${changeText(change)}`);
    }
    const ignored = verdict.ignored.filter(({ kind }) => kind === 'add-field');
    skipped.set(
      schemaId,
      ignored.map(({ field }) => field),
    );
  };
  const decode = createDecode({ schemas, contract, judge, onRead });
  const decodeOlder =
    older === undefined ? undefined : createDecode({ schemas, contract: older, judge });
  const counts = { records: 0, accepted: 0, newlyRefused: 0 };
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
    const newly = wasTaken ? 1 : 0;
    counts.newlyRefused += newly;
    countRefused(refused, { ...outcome, count: 1, newly, example: `${partition}/${offset}` });
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
      ...compareFields(contractFields(contract), writtenFields(schemas, readBy), {
        filled,
        followed,
        skipped: [...readBy].flatMap((schemaId) => skipped.get(schemaId) ?? []),
      }),
      followed: [...followed.values()],
    }),
  };
}

type Outcome = RowBuffer | Pick<RefusedRecords, 'kind' | 'message'>;
type Reader = (value: Uint8Array) => Outcome;
type OnRead = (schemaId: number, verdict: SchemaVerdict & { kind: 'read' }) => void;

/** Gives the row of a record until the next one, or why it is none. */
function createDecode(of: {
  schemas: SchemaCache;
  contract: Contract;
  judge: JudgeWriter;
  onRead?: OnRead;
}): (value: Uint8Array | null, schemaId: number) => Outcome {
  const { schemas, contract: base, judge, onRead = () => undefined } = of;
  const readers = new Map<number, Reader>();
  let current = base;
  const open = (schemaId: number, writer: AvroObject): Reader => {
    const verdict = judge(base, current, writer);
    if (verdict.kind === 'unreadable') return () => verdict.failure;
    if (verdict.kind !== 'read') {
      const message = changeTexts(verdict.changes).join('; ');
      const kind = verdict.kind === 'reject' ? 'schema-change' : verdict.kind;
      return () => ({ kind, message });
    }
    current = verdict.contract;
    onRead(schemaId, verdict);
    return openReader(current, verdict.pinned);
  };
  return (value, schemaId) => {
    const writer = schemaId < 0 ? undefined : schemas.resolve(schemaId);
    if (value === null || writer === undefined) {
      return frameFailure(value === null ? -1 : value.length, schemaId);
    }
    const reader = readers.get(schemaId) ?? open(schemaId, writer);
    readers.set(schemaId, reader);
    return reader(value);
  };
}

function openReader(contract: Contract, writer: AvroObject): Reader {
  const decoder = createRowDecoder(contract, writer);
  const rows = createRowBuffer(contract, 1);
  return (value) => {
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
  seen: {
    filled: ReadonlySet<string>;
    followed: ReadonlyMap<string, unknown>;
    skipped: readonly string[];
  },
): Pick<TrialResult, 'unwritten' | 'alwaysNull' | 'leftOut'> {
  if (written === undefined) return { unwritten: [], alwaysNull: [], leftOut: [] };
  const { filled, followed, skipped } = seen;
  const taken = new Set([...fields.flatMap(namesOf), ...followed.keys()]);
  const isWritten = (field: ContractField): boolean =>
    namesOf(field).some((name) => written.has(name));
  const [there, lacking] = [fields.filter(isWritten), fields.filter((field) => !isWritten(field))];
  return {
    unwritten: lacking.map(({ name }) => name),
    alwaysNull: there.map(({ name }) => name).filter((name) => !filled.has(name)),
    leftOut: [...new Set([...written, ...skipped])].filter((name) => !taken.has(name)),
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
