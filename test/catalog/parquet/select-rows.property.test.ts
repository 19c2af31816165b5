import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { columnValue } from '../../../catalog/parquet/column-value.ts';
import { selectRows } from '../../../catalog/parquet/select-rows.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { models } from './build-batch.ts';

const cases = models({ rowsMax: 30 }).chain((model) =>
  fc.tuple(fc.constant(model), fc.array(fc.integer({ min: -1, max: model.rowCount - 1 }))),
);

it('selected rows have the values of the rows they name, and a negative row is null', () => {
  fc.assert(
    fc.property(cases, ([model, rows]) => {
      const selected = selectRows(model.batch, Int32Array.from(rows));
      expect(selected.rowCount).toBe(rows.length);
      for (const { id, name, type } of model.tableSchema.fields) {
        const column = selected.columns.get(id);
        if (column === undefined) continue;
        const values = model.values.get(name) ?? [];
        expect(rows.map((_, index) => columnValue(column, type as PrimitiveType, index))).toEqual(
          rows.map((row) => (row < 0 ? null : values[row])),
        );
      }
    }),
  );
});
