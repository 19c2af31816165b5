import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sourceColumns } from '../../connectors/source-columns.ts';

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, 'golden/schemas.json'), 'utf8'),
) as Readonly<Record<string, unknown>>;

describe('the columns of a table', () => {
  it('are those of the row that Debezium registered, each by what its values are', () => {
    const columns = sourceColumns(golden['8']) ?? [];
    expect(Object.fromEntries(columns.map(({ name, form }) => [name, form]))).toEqual({
      id: 'int',
      price: 'decimal',
      n: 'decimal',
      ts: 'instant',
      tstz: 'instant',
      d: 'date',
      t: 'time-of-day',
      b: 'boolean',
      f8: 'real',
      u: 'uuid',
      j: 'text',
      ba: 'bytes',
      si: 'int',
      arr: 'nested',
      iv: 'long',
    });
  });

  it('tell the digits of a decimal that has them', () => {
    const columns = sourceColumns(golden['8']) ?? [];
    const digits = columns.filter((column) => column.digits !== undefined);
    expect(digits).toEqual([
      {
        name: 'price',
        form: 'decimal',
        type: 'org.apache.kafka.connect.data.Decimal',
        digits: { precision: 12, scale: 2 },
      },
    ]);
  });

  it('are none where the schema is no envelope', () => {
    expect(sourceColumns(golden['7'])).toBeUndefined();
    expect(sourceColumns('string')).toBeUndefined();
  });
});
