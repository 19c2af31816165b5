import { renumberType } from '@iceberg-js/rest-client-shim/spec/field-ids.ts';
import type {
  IcebergType,
  ListType,
  MapType,
  NestedField,
  PrimitiveType,
} from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { isPromotion } from '@iceberg-js/rest-client-shim/spec/type-promotion.ts';
import type { SchemaChangeKind } from './schema-change-kind.ts';

/** `column` names the field with those that it stands in: `address.city`, `tags[]` for items, `labels{}` for values. */
type ColumnPath = { column: string };

export type TableChange = ColumnPath & { fieldId: number } & (
    | {
        kind: 'add-field';
        type: IcebergType;
        /** The column of an older name, which stays: renaming it is not allowed. */
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

/** What was found out so far; `lastColumnId` is the highest id that was ever given. */
export type Draft = {
  lastColumnId: number;
  identifiers: ReadonlySet<number>;
  /** Whether a kind of change may change the table, given the name of the outermost column. */
  allows: (column: string, kind: SchemaChangeKind) => boolean;
  changes: TableChange[];
  refused: RefusedChange[];
};

/** Where fields stand: within a column, or as columns, which alone have former names. */
export type Place =
  { formerNames: ReadonlyMap<string, readonly string[]> } | { within: string; outermost: string };

type Spot = { path: string; outermost: string };

function spotOf(place: Place, name: string): Spot {
  return 'within' in place
    ? { path: `${place.within}.${name}`, outermost: place.outermost }
    : { path: name, outermost: name };
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
      ? abandonField(draft, field, spotOf(place, field.name))
      : evolveField(draft, field, successor, spotOf(place, successor.name));
  });
  const taken = new Map(kept.map(({ name }) => [name.toLowerCase(), name]));
  const added = wanted
    .filter((field) => !origins.has(field))
    .flatMap((field) => addField(draft, field, { ...spotOf(place, field.name), taken, place }));
  return [...kept, ...added];
}

/** The field of the table that each wanted one is: by its name, else by a former one, which no other has. */
function originsOf(
  { allows }: Draft,
  present: readonly NestedField[],
  wanted: readonly NestedField[],
  place: Place,
): Map<NestedField, NestedField> {
  const byName = new Map(present.map((field) => [field.name, field]));
  const origins = new Map<NestedField, NestedField>();
  for (const field of wanted) {
    const origin = byName.get(field.name);
    if (origin !== undefined) origins.set(field, origin);
  }
  if ('within' in place) return origins;
  const taken = new Set(origins.values());
  for (const field of wanted) {
    if (origins.has(field) || !allows(field.name, 'rename-field')) continue;
    const former = formerField(field, place.formerNames, byName);
    if (former === undefined || taken.has(former)) continue;
    origins.set(field, former);
    taken.add(former);
  }
  return origins;
}

function formerField(
  { name }: NestedField,
  formerNames: ReadonlyMap<string, readonly string[]>,
  byName: ReadonlyMap<string, NestedField>,
): NestedField | undefined {
  const former = formerNames.get(name)?.find((candidate) => byName.has(candidate));
  return former === undefined ? undefined : byName.get(former);
}

function evolveField(
  draft: Draft,
  field: NestedField,
  wanted: NestedField,
  spot: Spot,
): NestedField {
  const { path: column } = spot;
  const { id: fieldId, name: from } = field;
  const renamed = from !== wanted.name;
  if (renamed) draft.changes.push({ column, fieldId, kind: 'rename-field', from });
  const loosens = field.required && !wanted.required;
  const required = loosens ? !loosen(draft, { ...spot, fieldId }) : field.required;
  const type = evolveType(draft, { fieldId, type: field.type }, wanted.type, spot);
  return { ...field, name: wanted.name, required, type };
}

/** Nothing writes the field any more: it stays, and must take null. */
function abandonField(draft: Draft, field: NestedField, spot: Spot): NestedField {
  if (!field.required) return field;
  const loosened = loosen(draft, { ...spot, fieldId: field.id }, 'drop-field');
  return { ...field, required: !loosened };
}

function loosen(
  draft: Draft,
  { path: column, outermost, fieldId }: Spot & { fieldId: number },
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
  return allowed(draft, { column, outermost, kind, what }, () => ({ column, fieldId, kind }));
}

function allowed(
  draft: Draft,
  wish: { column: string; outermost: string; kind: SchemaChangeKind; what: string },
  change: () => TableChange,
): boolean {
  const { column, outermost, kind, what } = wish;
  const isAllowed = draft.allows(outermost, kind);
  if (isAllowed) draft.changes.push(change());
  else draft.refused.push({ column, kind, by: 'policy', reason: what });
  return isAllowed;
}

function addField(
  draft: Draft,
  field: NestedField,
  of: Spot & { taken: ReadonlyMap<string, string>; place: Place },
): NestedField[] {
  const { path: column, outermost, taken, place } = of;
  const other = taken.get(field.name.toLowerCase());
  if (other !== undefined) {
    const reason = `would stand beside ${other} in the table, and many engines do not tell names apart by case`;
    draft.refused.push({ column, kind: 'add-field', by: 'table', reason });
    return [];
  }
  const formerName =
    'within' in place
      ? undefined
      : place.formerNames.get(field.name)?.find((name) => taken.get(name.toLowerCase()) === name);
  let added: NestedField | undefined;
  const what = `(${describe(field.type)}) is missing from the table`;
  allowed(draft, { column, outermost, kind: 'add-field', what }, () => {
    const id = nextId(draft);
    const type = renumberType(field.type, () => nextId(draft));
    added = { ...field, id, required: false, type };
    const besides = formerName === undefined ? {} : { besides: formerName };
    return { column, fieldId: id, kind: 'add-field', type, ...besides };
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
  spot: Spot,
): IcebergType {
  if (typeof type === 'string' || typeof wanted === 'string') {
    return typeof type === 'string' && typeof wanted === 'string'
      ? evolvePrimitive(draft, { fieldId, type }, wanted, spot)
      : refuseType(draft, type, wanted, spot);
  }
  if (type.type === 'struct' && wanted.type === 'struct') {
    const place = { within: spot.path, outermost: spot.outermost };
    return { ...type, fields: evolveFields(draft, type.fields, wanted.fields, place) };
  }
  if (type.type === 'list' && wanted.type === 'list') return evolveList(draft, type, wanted, spot);
  if (type.type === 'map' && wanted.type === 'map') return evolveMap(draft, type, wanted, spot);
  return refuseType(draft, type, wanted, spot);
}

function evolvePrimitive(
  draft: Draft,
  { fieldId, type: from }: { fieldId: number; type: PrimitiveType },
  to: PrimitiveType,
  spot: Spot,
): PrimitiveType {
  if (from === to) return from;
  if (!isPromotion(from, to)) return refuseType(draft, from, to, spot);
  const { path: column, outermost } = spot;
  const kind = 'widen-type' as const;
  const what = `is ${from} in the table and would become ${to}`;
  const change = (): TableChange => ({ column, fieldId, kind, from, to });
  return allowed(draft, { column, outermost, kind, what }, change) ? to : from;
}

function refuseType<T extends IcebergType>(
  draft: Draft,
  type: T,
  wanted: IcebergType,
  { path: column }: Spot,
): T {
  const isNarrower =
    typeof type === 'string' && typeof wanted === 'string' && isPromotion(wanted, type);
  const reason = isNarrower
    ? `is ${type} in the table, which does not become ${wanted} again`
    : `is ${describe(type)} in the table and cannot become ${describe(wanted)}`;
  draft.refused.push({ column, kind: 'change-type', by: 'table', reason });
  return type;
}

function evolveList(draft: Draft, list: ListType, wanted: ListType, spot: Spot): ListType {
  const { elementId: fieldId, element: type } = list;
  const within = { path: `${spot.path}[]`, outermost: spot.outermost };
  const loosens = list.elementRequired && !wanted.elementRequired;
  const elementRequired = loosens ? !loosen(draft, { ...within, fieldId }) : list.elementRequired;
  const element = evolveType(draft, { fieldId, type }, wanted.element, within);
  return { ...list, elementRequired, element };
}

/** Keys must stay what they are. */
function evolveMap(draft: Draft, map: MapType, wanted: MapType, spot: Spot): MapType {
  const { valueId: fieldId, value: type } = map;
  const { outermost } = spot;
  if (!isSameType(map.key, wanted.key)) {
    refuseType(draft, map.key, wanted.key, { path: `${spot.path}{key}`, outermost });
  }
  const within = { path: `${spot.path}{}`, outermost };
  const loosens = map.valueRequired && !wanted.valueRequired;
  const valueRequired = loosens ? !loosen(draft, { ...within, fieldId }) : map.valueRequired;
  return {
    ...map,
    valueRequired,
    value: evolveType(draft, { fieldId, type }, wanted.value, within),
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
