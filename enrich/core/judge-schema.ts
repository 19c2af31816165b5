import type { AvroObject, Contract } from '../../schemas/contract.ts';
import {
  evolveContract,
  pinnedSchema,
  schemaChanges,
  standaloneFields,
} from '../../schemas/schema-change.ts';
import type { SchemaChange } from '../../schemas/schema-change.ts';
import type { EvolutionConfig } from '../config/pipeline-config.ts';

/** In words: the text stands in each dead letter of a schema. */
const TOLD_CHANGES_MAX = 20;

/** What becomes of records of a schema. */
export type SchemaVerdict =
  | {
      kind: 'read';
      /** The contract that reads them, grown where the schema calls for it. */
      contract: Contract;
      /** Fields whose column is another than by the contract of the start, as rows of this schema need it. */
      carries: ReadonlySet<string>;
      /** The writer's schema as contracts that grow from this one are to read it too. */
      pinned: AvroObject;
      /** What the table follows for the first time. */
      followed: readonly SchemaChange[];
      /** What is read as if it were not so. */
      ignored: readonly SchemaChange[];
    }
  | { kind: 'pause' | 'reject' | 'fail'; changes: readonly SchemaChange[] };

/**
 * Judges a writer's schema by the policy of its stream. What is allowed and possible makes the contract grow; all else is
 * for the policy, and then nothing of the schema is followed. A schema of another sort of record is read by the contract
 * as it stands, which makes dead letters of its records: it must neither change a table nor stop anybody.
 */
export function judgeSchema(options: {
  /** What the pipeline has started with, and what it has grown to. */
  base: Contract;
  current: Contract;
  writer: AvroObject;
  evolution: EvolutionConfig;
  /** Why a field of a contract cannot be the table's column; undefined where it can. */
  misfit: (contract: Contract, field: string) => string | undefined;
}): SchemaVerdict {
  const { base, current, writer, evolution, misfit } = options;
  const changes = schemaChanges(current, writer);
  if (changes === undefined) return asItStands(current, writer);
  let contract = current;
  const followed: SchemaChange[] = [];
  const others: SchemaChange[] = [];
  for (const change of changes) {
    if (change.follow === undefined || !evolution.allow.has(change.kind)) {
      others.push(change);
      continue;
    }
    const grown = evolveContract(contract, [change]);
    const reason = misfit(grown, change.field);
    if (reason !== undefined) {
      others.push({ ...change, what: `${change.what}, and ${reason}` });
      continue;
    }
    contract = grown;
    followed.push(change);
  }
  const { policy } = evolution;
  if (others.length > 0 && policy !== 'evolve' && policy !== 'ignore') {
    return { kind: policy, changes: others };
  }
  const pinned = pinnedSchema(contract, writer);
  const carries = carriedFields({ base, contract, writer, pinned, evolution });
  return { kind: 'read', contract, carries, pinned, followed, ignored: others };
}

function asItStands(contract: Contract, pinned: AvroObject): SchemaVerdict {
  return { kind: 'read', contract, carries: new Set(), pinned, followed: [], ignored: [] };
}

/**
 * Fields that the contract of the start lacks and the schema has, and those in which it differs from that as is allowed.
 * Where it differs in more than that, rows of it that can be read have what is allowed all the same.
 */
function carriedFields(of: {
  base: Contract;
  contract: Contract;
  writer: AvroObject;
  pinned: AvroObject;
  evolution: EvolutionConfig;
}): ReadonlySet<string> {
  const { base, contract, writer, pinned, evolution } = of;
  const own = fieldNames(base.avroSchema);
  const differing = schemaChanges(base, writer) ?? [];
  const changed = differing.filter(
    ({ kind, field }) => own.has(field) && evolution.allow.has(kind),
  );
  const others = fieldNames(contract.avroSchema).difference(own).intersection(fieldNames(pinned));
  return new Set([...changed.map(({ field }) => field), ...others]);
}

function fieldNames({ fields = [] }: AvroObject): ReadonlySet<string> {
  return new Set(fields.map(({ name }) => name));
}

/** The contract of the start with these fields, and no others, as they are in what it has grown to. */
export function withFields(base: Contract, grown: Contract, names: ReadonlySet<string>): Contract {
  const own = standaloneFields(base);
  const fields = [...standaloneFields(grown)].flatMap(([name, field]) =>
    names.has(name) ? field : (own.get(name) ?? []),
  );
  return { ...base, avroSchema: { ...base.avroSchema, fields } };
}

/** A change in words: what differs, and of which kind. */
export function changeText({ field, what, kind }: SchemaChange): string {
  return `field ${field} ${what} (${kind})`;
}

/** Changes in words; those beyond the first 20 are counted. */
export function changeTexts(changes: readonly SchemaChange[]): string[] {
  const texts = changes.slice(0, TOLD_CHANGES_MAX).map(changeText);
  const more = changes.length - texts.length;
  return more > 0 ? [...texts, `and ${more} more`] : texts;
}
