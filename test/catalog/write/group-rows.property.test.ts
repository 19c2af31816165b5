import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionValue } from '../../../catalog/manifest/data-file.ts';
import type { PrimitiveType } from '../../../catalog/spec/table-schema.ts';
import { applyTransform, transformResultType } from '../../../catalog/spec/transform.ts';
import { groupRows } from '../../../catalog/write/group-rows.ts';
import { ALL_TYPES, dictionaryColumn, plainColumn, valueOf } from '../parquet/build-batch.ts';

const TRANSFORMS = ['identity', 'bucket[7]', 'truncate[3]', 'year', 'month', 'day', 'hour', 'void'];

function applies(transform: string, type: PrimitiveType): boolean {
  try {
    transformResultType(transform, type);
    return true;
  } catch {
    return false;
  }
}

const pairs = ALL_TYPES.flatMap((type) =>
  TRANSFORMS.filter((transform) => applies(transform, type)).map((transform) => ({
    transform,
    type,
  })),
);

/** 0 and -0 are one value to a partition. */
const plainZero = (value: PartitionValue): PartitionValue => (value === 0 ? 0 : value);

describe('groupRows', () => {
  it.each(pairs)(
    '$transform of $type gives each row its transformed value',
    ({ transform, type }) => {
      const values = fc.array(fc.option(valueOf(type), { freq: 5 }), {
        minLength: 1,
        maxLength: 20,
      });
      fc.assert(
        fc.property(values, fc.boolean(), (rows, asDictionary) => {
          const column = asDictionary ? dictionaryColumn(type, rows, []) : plainColumn(type, rows);
          const groups = groupRows({ column, type, transform }, rows.length);
          expect(
            rows.map((_, row) => plainZero(groups.values[groups.codes[row] ?? -1] ?? null)),
          ).toEqual(rows.map((value) => plainZero(applyTransform(transform, type, value))));
          const texts = groups.values.map((value) =>
            value instanceof Uint8Array ? `bytes ${value.join()}` : value,
          );
          expect(new Set(texts).size).toBe(groups.values.length);
        }),
        { numRuns: 40 },
      );
    },
  );
});
