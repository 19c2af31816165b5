import { renumberType } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type {
  IcebergType,
  ListType,
  MapType,
  NestedField,
  PrimitiveType,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import { pathWithin } from './contract-field.ts';
import { matchFields } from './match-fields.ts';
import type { SchemaChangeKind } from './schema-change-kind.ts';

/** `column` names the field with those that it stands in: `address.city`, `tags[]` for items, `labels{}` for values. */
type ColumnPath = { column: string };

export type TableChange = ColumnPath & { fieldId: number } & (
    | {
        kind: 'add-field';
        type: IcebergType;
        /** The column of an older name, which stays, with nothing to write it: renaming it is not allowed. */
        besides?: string;
      }
    | { kind: 'widen-type'; from: PrimitiveType; to: PrimitiveType }
    | { kind: 'make-optional' }
    | { kind: 'rename-field'; from: string }
    /** Nothing fills the column any more; it stays, and was required until now. */
    | { kind: 'drop-field' }
  );

/** A change that the table would need and does not get; `reason` completes the sentence that begins with the column. */
export type RefusedChange = ColumnPath & {
  kind: SchemaChangeKind;
  /** `policy`: the table could take it, but `allows` does not. `table`: no table can. */
  by: 'policy' | 'table';
  reason: string;
};

/** A field that nothing writes, and that stays as it is. */
export type LeftField = ColumnPath & { fieldId: number };

/** What was found out so far; `lastColumnId` is the highest id that was ever given. */
export type Draft = {
  lastColumnId: number;
  identifiers: ReadonlySet<number>;
  /** Whether a kind of change may change the table, given the name of the outermost column. */
  allows: (column: string, kind: SchemaChangeKind) => boolean;
  changes: TableChange[];
  refused: RefusedChange[];
  left: LeftField[];
};

/** Where fields stand: within a column, or as columns, which alone have former names. */
export type Place = { formerNames: ReadonlyMap<string, readonly string[]> } | { within: string };

function pathOf(place: Place, { name }: NestedField): string {
  return 'within' in place ? pathWithin(place.within, 'struct', name) : name;
}

/** The fields of a record, or of the table, that is to hold the wanted ones too; notes in the draft what that changes. */
export function evolveFields(
  draft: Draft,
  present: readonly NestedField[],
  wanted: readonly NestedField[],
  place: Place,
): NestedField[] {
  const origins = originsOf(draft, present, wanted, place);
  const successors = new Map([...origins].map(([field, origin]) => [origin, field]));
  const kept = present.map((field) => {
    const successor = successors.get(field);
    return successor === undefined
      ? abandonField(draft, field, pathOf(place, field))
      : evolveField(draft, field, successor, pathOf(place, successor));
  });
  const taken = new Map(kept.map(({ name }) => [name.toLowerCase(), name]));
  const abandoned = new Set(
    present.filter((field) => !successors.has(field)).map(({ name }) => name),
  );
  const added = wanted
    .filter((field) => !origins.has(field))
    .flatMap((field) => {
      const besides = formerNamesOf(place, field).find((name) => abandoned.has(name));
      return addField(draft, field, { column: pathOf(place, field), taken, besides });
    });
  return [...kept, ...added];
}

function formerNamesOf(place: Place, { name }: NestedField): readonly string[] {
  return 'within' in place ? [] : (place.formerNames.get(name) ?? []);
}

/** The field of the table that each wanted one is: by its name, else by a former one, where it may have another. */
function originsOf(
  { allows }: Draft,
  present: readonly NestedField[],
  wanted: readonly NestedField[],
  place: Place,
): Map<NestedField, NestedField> {
  const fields = wanted.map((field) => {
    const { name } = field;
    const twins = present.filter((other) => other.name.toLowerCase() === name.toLowerCase());
    // Beside a name that differs by case alone no column gets its own, be it new or another's.
    const mayHave = (former: string): boolean => twins.every((twin) => twin.name === former);
    const aliases = allows(name, 'rename-field') ? formerNamesOf(place, field).filter(mayHave) : [];
    return { name, aliases, field };
  });
  return new Map([...matchFields(fields, present)].map(([{ field }, origin]) => [field, origin]));
}

function evolveField(
  draft: Draft,
  field: NestedField,
  wanted: NestedField,
  column: string,
): NestedField {
  const { id: fieldId, name: from } = field;
  const renamed = from !== wanted.name;
  if (renamed) draft.changes.push({ column, fieldId, kind: 'rename-field', from });
  const loosens = field.required && !wanted.required;
  const required = loosens ? !loosen(draft, { column, fieldId }) : field.required;
  const type = evolveType(draft, { fieldId, type: field.type }, wanted.type, column);
  return { ...field, name: wanted.name, required, type };
}

/** Nothing writes the field any more: it stays, and must take null. */
function abandonField(draft: Draft, field: NestedField, column: string): NestedField {
  if (!field.required) {
    draft.left.push({ column, fieldId: field.id });
    return field;
  }
  const loosened = loosen(draft, { column, fieldId: field.id }, 'drop-field');
  return { ...field, required: !loosened };
}

function loosen(
  draft: Draft,
  { column, fieldId }: ColumnPath & { fieldId: number },
  kind: 'make-optional' | 'drop-field' = 'make-optional',
): boolean {
  const what =
    kind === 'drop-field'
      ? 'is required in the table, and nothing writes it any more'
      : 'is required in the table, and may be null';
  if (draft.identifiers.has(fieldId)) {
    const reason = `${what}; it identifies rows of the table and cannot become optional`;
    draft.refused.push({ column, kind, by: 'table', reason });
    return false;
  }
  return allowed(draft, { column, kind, what }, () => ({ column, fieldId, kind }));
}

function allowed(
  draft: Draft,
  wish: ColumnPath & { kind: SchemaChangeKind; what: string },
  change: () => TableChange,
): boolean {
  const { column, kind, what } = wish;
  const isAllowed = draft.allows(outermost(column), kind);
  if (isAllowed) draft.changes.push(change());
  else draft.refused.push({ column, kind, by: 'policy', reason: what });
  return isAllowed;
}

function addField(
  draft: Draft,
  field: NestedField,
  of: ColumnPath & { taken: ReadonlyMap<string, string>; besides: string | undefined },
): NestedField[] {
  const { column, taken, besides } = of;
  const other = taken.get(field.name.toLowerCase());
  if (other !== undefined) {
    const reason = `would stand beside ${other} in the table, and many engines do not tell names apart by case`;
    draft.refused.push({ column, kind: 'add-field', by: 'table', reason });
    return [];
  }
  let added: NestedField | undefined;
  const what = `(${describe(field.type)}) is missing from the table`;
  allowed(draft, { column, kind: 'add-field', what }, () => {
    const id = nextId(draft);
    const type = renumberType(field.type, () => nextId(draft));
    added = { ...field, id, required: false, type };
    const beside = besides === undefined ? {} : { besides };
    return { column, fieldId: id, kind: 'add-field', type, ...beside };
  });
  return added === undefined ? [] : [added];
}

function nextId(draft: Draft): number {
  draft.lastColumnId += 1;
  return draft.lastColumnId;
}

function evolveType(
  draft: Draft,
  { fieldId, type }: { fieldId: number; type: IcebergType },
  wanted: IcebergType,
  column: string,
): IcebergType {
  if (typeof type === 'string' || typeof wanted === 'string') {
    return typeof type === 'string' && typeof wanted === 'string'
      ? evolvePrimitive(draft, { fieldId, type }, wanted, column)
      : refuseType(draft, type, wanted, column);
  }
  if (type.type === 'struct' && wanted.type === 'struct') {
    const fields = evolveFields(draft, type.fields, wanted.fields, { within: column });
    return { ...type, fields };
  }
  if (type.type === 'list' && wanted.type === 'list')
    return evolveList(draft, type, wanted, column);
  if (type.type === 'map' && wanted.type === 'map') return evolveMap(draft, type, wanted, column);
  return refuseType(draft, type, wanted, column);
}

/** What is wider in the table stays so: every value goes into it. */
function evolvePrimitive(
  draft: Draft,
  { fieldId, type: from }: { fieldId: number; type: PrimitiveType },
  to: PrimitiveType,
  column: string,
): PrimitiveType {
  if (from === to || isPromotion(to, from)) return from;
  if (!isPromotion(from, to)) return refuseType(draft, from, to, column);
  const kind = 'widen-type' as const;
  const what = `is ${from} in the table and would become ${to}`;
  const change = (): TableChange => ({ column, fieldId, kind, from, to });
  return allowed(draft, { column, kind, what }, change) ? to : from;
}

function refuseType<T extends IcebergType>(
  draft: Draft,
  type: T,
  wanted: IcebergType,
  column: string,
): T {
  const reason = `is ${describe(type)} in the table and cannot become ${describe(wanted)}`;
  draft.refused.push({ column, kind: 'change-type', by: 'table', reason });
  return type;
}

function evolveList(draft: Draft, list: ListType, wanted: ListType, path: string): ListType {
  const { elementId: fieldId, element: type } = list;
  const column = pathWithin(path, 'list', 'element');
  const loosens = list.elementRequired && !wanted.elementRequired;
  const elementRequired = loosens ? !loosen(draft, { column, fieldId }) : list.elementRequired;
  const element = evolveType(draft, { fieldId, type }, wanted.element, column);
  return { ...list, elementRequired, element };
}

/** Keys must stay what they are. */
function evolveMap(draft: Draft, map: MapType, wanted: MapType, path: string): MapType {
  const { valueId: fieldId, value: type } = map;
  if (!isSameType(map.key, wanted.key)) {
    refuseType(draft, map.key, wanted.key, pathWithin(path, 'map', 'key'));
  }
  const column = pathWithin(path, 'map', 'value');
  const loosens = map.valueRequired && !wanted.valueRequired;
  const valueRequired = loosens ? !loosen(draft, { column, fieldId }) : map.valueRequired;
  return {
    ...map,
    valueRequired,
    value: evolveType(draft, { fieldId, type }, wanted.value, column),
  };
}

/** Keys of maps are text wherever they come from Avro; a nested one is another's, and not ours to write. */
function isSameType(left: IcebergType, right: IcebergType): boolean {
  return typeof left === 'string' && left === right;
}

function describe(type: IcebergType): string {
  return typeof type === 'string' ? type : `a ${type.type}`;
}

/** The column of the table that a path leads into: `a` of `a.b`, `a[]`, `a{}`. */
export function outermost(path: string): string {
  return /^[^.[{]*/.exec(path)?.[0] ?? path;
}
