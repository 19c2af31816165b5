import { CatalogError } from '../../error.ts';
import type { FlatColumn, Validity } from '../columns.ts';
import type { FileField, GroupField, LeafField } from '../file-field.ts';
import type { LeafEntries } from './leaf-entries.ts';

/*
  Dremel's levels. An entry of a leaf is a value, or the place where there is none: a null, or a list without items.
    definition   how many of the optional and repeated levels above (and the leaf's own) are there
    repetition   at which list or map the entry goes on: 0 begins a row
  Source: parquet-format, README.md, "Nested Encoding".
*/

/** Entries on the way down: `at` is a row of the column, below 0 where something above is null or empty. */
type Level = {
  at: Int32Array;
  definition: Uint8Array;
  repetition: Uint8Array | undefined;
  definitionMax: number;
  repetitionMax: number;
};

/**
 * The entries of each leaf of a nested field for the given rows, from left to right; one after the other, so that
 * they are not all in memory. Errors: `config` for a null in a required field whose parent is there.
 */
export function* shred(
  field: GroupField,
  rows: Int32Array,
): Generator<{ leaf: LeafField; entries: LeafEntries }> {
  yield* descend(field, {
    at: rows,
    definition: new Uint8Array(rows.length),
    repetition: undefined,
    definitionMax: 0,
    repetitionMax: 0,
  });
}

function* descend(
  field: FileField,
  above: Level,
): Generator<{ leaf: LeafField; entries: LeafEntries }> {
  const level = withNulls(field, above);
  if (field.kind === 'leaf') {
    yield { leaf: field, entries: entriesOf(field.column, level) };
    return;
  }
  const { column } = field;
  const inner = column.kind === 'struct' ? level : expand(column.offsets, level);
  for (const child of field.children) yield* descend(child, inner);
}

/** What is null here goes no further; of the rest, an optional field is one level more. */
function withNulls({ field, column }: FileField, above: Level): Level {
  const { length } = above.at;
  const at = new Int32Array(length);
  const definition = field.required ? above.definition : new Uint8Array(length);
  const isPresent = presence(column);
  let nulls = 0;
  for (let index = 0; index < length; index += 1) {
    const row = above.at[index] as number;
    const isThere = row >= 0 && isPresent(row);
    at[index] = isThere ? row : -1;
    if (row >= 0 && !isThere) nulls += 1;
    if (!field.required)
      definition[index] = (above.definition[index] as number) + (isThere ? 1 : 0);
  }
  if (!field.required) return { ...above, at, definition, definitionMax: above.definitionMax + 1 };
  if (nulls === 0) return { ...above, at };
  throw new CatalogError('config', `required column "${field.name}" has ${nulls} nulls`, {
    context: { fieldId: field.id },
  });
}

function presence(column: FileField['column']): (row: number) => boolean {
  if (column.kind !== 'dictionary') return ofValidity(column.valid);
  const { codes, dictionary } = column;
  const isValue = ofValidity(dictionary.values.valid);
  return (row) => (codes[row] as number) >= 0 && isValue(codes[row] as number);
}

function ofValidity(valid: Validity): (row: number) => boolean {
  return valid === undefined ? () => true : (row) => valid[row] !== 0;
}

/** One entry for each item of a list or a map, and one for each that has none. */
function expand(offsets: Int32Array, above: Level): Level {
  const countOf = (row: number): number =>
    row < 0 ? 0 : (offsets[row + 1] as number) - (offsets[row] as number);
  let length = 0;
  for (const row of above.at) length += Math.max(1, countOf(row));
  const at = new Int32Array(length);
  const definition = new Uint8Array(length);
  const repetition = new Uint8Array(length);
  const repetitionMax = above.repetitionMax + 1;
  let to = 0;
  for (let index = 0; index < above.at.length; index += 1) {
    const row = above.at[index] as number;
    const count = countOf(row);
    const defined = above.definition[index] as number;
    repetition[to] = above.repetition?.[index] ?? 0;
    if (count === 0) {
      at[to] = -1;
      definition[to] = defined;
      to += 1;
      continue;
    }
    const start = offsets[row] as number;
    for (let item = 0; item < count; item += 1) {
      at[to] = start + item;
      definition[to] = defined + 1;
      if (item > 0) repetition[to] = repetitionMax;
      to += 1;
    }
  }
  return { at, definition, repetition, definitionMax: above.definitionMax + 1, repetitionMax };
}

function entriesOf(column: FlatColumn, level: Level): LeafEntries {
  const { at, definition, repetition, definitionMax, repetitionMax } = level;
  const codes = column.kind === 'dictionary' ? column.codes : undefined;
  const present = new Int32Array(at.length);
  let count = 0;
  for (const row of at) {
    if (row < 0) continue;
    present[count] = codes === undefined ? row : (codes[row] as number);
    count += 1;
  }
  return {
    count: at.length,
    at: present.subarray(0, count),
    definition: definitionMax === 0 ? undefined : definition,
    definitionMax,
    repetition,
    repetitionMax,
  };
}
