import { contractFields } from './contract-field.ts';
import type { Contract } from './contract.ts';
import { createColumn } from './row-buffer.ts';
import type { BufferColumn, RowBuffer } from './row-buffer.ts';

/**
 * Gives a row buffer the columns of a contract that has grown from its own: rows that it holds keep their values, and have
 * null in columns that are new. `rowsMax` is what it was created with. Errors: `config` for a contract without columns.
 */
export function extendRows(rows: RowBuffer, contract: Contract, rowsMax: number): void {
  rows.contract = contract;
  const before = new Map(rows.columns.map((column) => [column.name, column]));
  rows.columns = contractFields(contract).map((field) => {
    const known = before.get(field.name);
    if (known?.kind === field.column) return known;
    const fresh = createColumn(field, rowsMax, rows.grown);
    return known === undefined ? fresh : widen(known, fresh, rows.rowCount);
  });
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
