import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { fieldPaths, isWithin } from '../../schemas/field-paths.ts';
import { pinnedSchema } from '../../schemas/pinned-schema.ts';
import type { DecodeFailure } from '../../schemas/row-buffer.ts';
import { refusalOf } from '../../schemas/row-decoder.ts';
import { evolveContract, isSameSort, schemaChanges } from '../../schemas/schema-change.ts';
import type { SchemaChange } from '../../schemas/schema-change.ts';
import type { EvolutionConfig } from '../config/pipeline-config.ts';

/** In words: the text stands in each dead letter of a schema. */
const TOLD_CHANGES_MAX = 20;

/** Why a table does not take something, and whether it takes no other column whatever that is. */
export type Misfit = { reason: string; isFull: boolean };

/** Kinds that leave a column able to hold all that it held. */
const WIDENING: ReadonlySet<string> = new Set(['widen-type', 'make-optional', 'drop-field']);

/** What becomes of records of a schema. */
export type SchemaVerdict =
  | {
      kind: 'read';
      /** The contract that reads them, grown where the schema calls for it. */
      contract: Contract;
      /** Paths of what is another column than by the contract of the start, or part of one, as rows of this schema need it. */
      carries: ReadonlySet<string>;
      /** The writer's schema as contracts that grow from this one are to read it too. */
      pinned: AvroObject;
      /** What the table follows for the first time. */
      followed: readonly SchemaChange[];
      /** What is read as if it were not so. */
      ignored: readonly SchemaChange[];
    }
  /** What no record of a schema of another sort can be read for. */
  | { kind: 'unreadable'; failure: DecodeFailure }
  | { kind: 'pause' | 'reject' | 'fail'; changes: readonly SchemaChange[] };

type JudgeOptions = {
  /** What the pipeline has started with, and what it has grown to. */
  base: Contract;
  current: Contract;
  writer: AvroObject;
  evolution: EvolutionConfig;
  /** Why what stands at a path in a contract cannot be that of the table; undefined where it can. */
  misfit: (contract: Contract, field: string) => Misfit | undefined;
  /** Paths of what the table has. */
  columns: ReadonlySet<string>;
};

/**
 * Judges a writer's schema by the policy of its stream. What is allowed and possible makes the contract grow; all else is
 * for the policy, and then nothing of the schema is followed. A schema of another sort of record is read by the contract
 * of the start, whatever that has grown to, which makes dead letters of its records: it must neither change a table nor
 * stop anybody.
 */
export function judgeSchema(options: JudgeOptions): SchemaVerdict {
  const { base, writer, evolution } = options;
  if (!isSameSort(base, writer)) return ofAnotherSort(options);
  const { contract, followed, others } = follow(options);
  const { policy } = evolution;
  if (others.length > 0 && policy !== 'evolve' && policy !== 'ignore') {
    return { kind: policy, changes: others };
  }
  const pinned = pinnedSchema(contract, writer, skippedBy(base, others));
  const carries = carriedPaths({ base, contract, writer, pinned, evolution });
  return { kind: 'read', contract, carries, pinned, followed, ignored: others };
}

/** The contract with all that is allowed and possible, change by change. */
function follow({ base, current, writer, evolution, misfit, columns }: JudgeOptions): {
  contract: Contract;
  followed: readonly SchemaChange[];
  others: readonly SchemaChange[];
} {
  let contract = current;
  const followed: SchemaChange[] = [];
  const others: SchemaChange[] = [];
  // A schema may bring fields by the thousand, and to try one takes a plan of the whole table.
  let full: Misfit | undefined;
  const own = fieldPaths(base);
  /** What producers have brought, and the table has: a wider form of it changes nothing where the table is that wide. */
  const mayBeSo = ({ kind, field }: SchemaChange): boolean =>
    WIDENING.has(kind) && !own.has(field) && columns.has(field);
  for (const change of schemaChanges(current, writer)) {
    const { kind, field, what } = change;
    if (change.follow === undefined || !(evolution.allow.has(kind) || mayBeSo(change))) {
      others.push(change);
      continue;
    }
    const known = kind === 'add-field' && !columns.has(field) ? full : undefined;
    const grown = known === undefined ? evolveContract(contract, [change]) : contract;
    const unfit = known ?? misfit(grown, field);
    if (unfit === undefined) {
      contract = grown;
      followed.push(change);
      continue;
    }
    if (unfit.isFull) full = unfit;
    others.push({ ...change, what: `${what}, and ${unfit.reason}` });
  }
  return { contract, followed, others };
}

/**
 * What a writer has in a form that is not followed is skipped where producers alone want it, whoever of them came first:
 * all that they have added in one place, as that is added as a whole.
 */
function skippedBy(base: Contract, others: readonly SchemaChange[]): (path: string) => boolean {
  const own = fieldPaths(base);
  const unread = others.filter(({ kind, field }) => kind !== 'add-field' && !own.has(field));
  return (path) => !own.has(path) && unread.some(({ field }) => isWithin(field, path));
}

function ofAnotherSort(options: JudgeOptions): SchemaVerdict {
  const { base, current, writer, evolution } = options;
  const failure = refusalOf(base, writer);
  if (failure !== undefined) return { kind: 'unreadable', failure };
  const pinned = pinnedSchema(base, writer);
  // What others have made optional or wider must be so also for rows of this schema.
  const carries = carriedPaths({ base, contract: base, writer, pinned, evolution });
  return { kind: 'read', contract: current, carries, pinned, followed: [], ignored: [] };
}

/**
 * What the contract of the start lacks and the schema has, and that in which it differs from it as is allowed, at any depth.
 * Where it differs in more than that, rows of it that can be read have what is allowed all the same.
 */
function carriedPaths(of: {
  base: Contract;
  contract: Contract;
  writer: AvroObject;
  pinned: AvroObject;
  evolution: EvolutionConfig;
}): ReadonlySet<string> {
  const { base, contract, writer, pinned, evolution } = of;
  const own = fieldPaths(base);
  const changed = schemaChanges(base, writer)
    .filter(({ kind, field }) => own.has(field) && evolution.allow.has(kind))
    .map(({ field }) => field);
  return fieldPaths(contract, pinned).difference(own).union(new Set(changed));
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
