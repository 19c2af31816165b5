import { parseAvroType, withoutNull } from './avro-type.ts';
import type { AvroNode, FieldNode, RecordNode } from './avro-type.ts';
import { pathWithin } from './contract-field.ts';
import type { Contract } from './contract.ts';
import { printAvroField } from './print-avro-type.ts';

/**
 * A contract that has grown from another only where these paths say so: of fields that the other lacks it has those alone,
 * and all others are as they were before, so that a commit brings no more than its rows carry (INVARIANTS.md 11). What is
 * within a new field and not among the paths is left out, unless nothing would be left of it.
 */
export function partlyGrown(base: Contract, grown: Contract, paths: ReadonlySet<string>): Contract {
  const [before, after] = [base, grown].map(
    ({ avroSchema }) => parseAvroType(avroSchema) as RecordNode,
  );
  if (before === undefined || after === undefined) return base;
  const fields = partOfFields({ path: '', paths, before: before.fields }, after);
  return { ...base, avroSchema: { ...base.avroSchema, fields: fields.map(printAvroField) } };
}

type Place<Before> = { path: string; paths: ReadonlySet<string>; before: Before | undefined };

function partOfFields(
  { path, paths, before }: Place<readonly FieldNode[]>,
  after: RecordNode,
): FieldNode[] {
  return after.fields.flatMap((field) => {
    const own = before?.find(({ name }) => name === field.name);
    const at = pathWithin(path, 'struct', field.name);
    const isGrown = paths.has(at);
    // Rows that lack a field of a new record have its default: they carry it too.
    const isFilled = before === undefined && (field.default ?? null) !== null;
    if (own === undefined && !isGrown && !isFilled) return [];
    const type = partOfType({ path: at, paths, before: own?.type }, field.type);
    return [{ ...(isGrown ? field : (own ?? field)), type }];
  });
}

function partOfType(place: Place<AvroNode>, after: AvroNode): AvroNode {
  const { path, paths, before } = place;
  const isGrown = before === undefined || paths.has(path);
  const own = before === undefined ? undefined : withoutNull(before);
  const value = partOfValue({ ...place, before: own }, withoutNull(after), isGrown);
  return withNullAs(isGrown ? after : before, value);
}

function partOfValue({ path, paths, before }: Place<AvroNode>, after: AvroNode, isGrown: boolean) {
  if (after.kind === 'record') {
    const own = before?.kind === 'record' ? before.fields : undefined;
    const fields = partOfFields({ path, paths, before: own }, after);
    return fields.length === 0 ? after : { ...after, fields };
  }
  if (after.kind === 'array') {
    const own = before?.kind === 'array' ? before.items : undefined;
    const at = pathWithin(path, 'list', '');
    return { ...after, items: partOfType({ path: at, paths, before: own }, after.items) };
  }
  if (after.kind === 'map') {
    const own = before?.kind === 'map' ? before.values : undefined;
    const at = pathWithin(path, 'map', '');
    return { ...after, values: partOfType({ path: at, paths, before: own }, after.values) };
  }
  return isGrown ? after : (before ?? after);
}

/** The type in place of the value of another that may be null, or not. */
function withNullAs(type: AvroNode, value: AvroNode): AvroNode {
  if (type.kind !== 'union') return value;
  const branches = type.branches.map((branch) => (branch.kind === 'null' ? branch : value));
  return { ...type, branches };
}
