import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { Contract } from './contract.ts';
import { bytesOfRow, createColumn, innerRowsInitial } from './row-buffer.ts';
import type { BufferColumn, RowBuffer } from './row-buffer.ts';

/**
 * Gives a row buffer the columns of a contract that has grown from its own, at any depth: rows that it holds keep their
 * values, and have null in what is new. `rowsMax` is what it was created with. What columns within lists and maps come to
 * take beyond what they start with counts as grown, and may for once be more than a buffer may grow by. Errors: `config`
 * for a contract without columns.
 */
export function extendRows(rows: RowBuffer, contract: Contract, rowsMax: number): void {
  const { rowCount } = rows;
  const place: Place = { rowCount, capacity: rowsMax, free: rowsMax };
  rows.contract = contract;
  rows.columns = extendFields(rows.columns, contractFields(contract), place, rows.grown);
}

/** Rows that columns hold and have room for, and how many of these count for nothing. */
type Place = { rowCount: number; capacity: number; free: number };

type Grown = RowBuffer['grown'];

function extendFields(
  columns: readonly BufferColumn[],
  fields: readonly ContractField[],
  place: Place,
  grown: Grown,
): BufferColumn[] {
  const before = new Map(columns.map((column) => [column.name, column]));
  return fields.map((field) => extendColumn(before.get(field.name), field, place, grown));
}

function extendColumn(
  known: BufferColumn | undefined,
  field: ContractField,
  place: Place,
  grown: Grown,
): BufferColumn {
  if (known?.kind === 'struct' && field.column === 'struct') {
    return { ...known, fields: extendFields(known.fields, field.fields, place, grown) };
  }
  if (known?.kind === 'list' && field.column === 'list') {
    const items = placeWithin(known.offsets, place, known.element);
    return { ...known, element: extendColumn(known.element, field.element, items, grown) };
  }
  if (known?.kind === 'map' && field.column === 'map') {
    const values = placeWithin(known.offsets, place, known.value);
    return { ...known, value: extendColumn(known.value, field.value, values, grown) };
  }
  if (known?.kind === field.column) return known;
  const { rowCount, capacity, free } = place;
  const fresh = createColumn(field, capacity, grown);
  const more = bytesOfRow(fresh) - (known === undefined ? 0 : bytesOfRow(known));
  grown.bytes += more * Math.max(0, capacity - free);
  return known === undefined ? fresh : widen(known, fresh, rowCount);
}

function placeWithin(offsets: Int32Array, { rowCount }: Place, column: BufferColumn): Place {
  return {
    rowCount: offsets[rowCount] ?? 0,
    capacity: column.valid.length,
    free: innerRowsInitial,
  };
}

/** The values in the wider type that the column has now. */
function widen(from: BufferColumn, to: BufferColumn, rowCount: number): BufferColumn {
  to.valid.set(from.valid);
  if (from.kind === 'int32' && to.kind === 'int64') {
    for (let row = 0; row < rowCount; row++) {
      const value = from.values[row] as number;
      to.words[2 * row] = value;
      to.words[2 * row + 1] = value >> 31;
    }
    return to;
  }
  if (from.kind === 'float32' && to.kind === 'float64') {
    to.values.set(from.values);
    return to;
  }
  throw new Error(`assert: column ${from.name} cannot become ${to.kind}, it holds ${from.kind}`);
}
