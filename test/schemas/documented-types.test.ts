import { typeText } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import { describe, expect, it } from 'vitest';
import { contractFields } from '../../schemas/contract-field.ts';
import { deriveTableSchema } from '../../schemas/table-schema.ts';
import { contractOf } from './avro-encoding.ts';
import { documentedRefusals, documentedTypes } from './documented-types.ts';

const eventTime = { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } };

function columnOf(type: unknown) {
  const streamContract = contractOf([eventTime, { name: 'a', type }]);
  return deriveTableSchema({ streamContract, eventTimeField: 'at', dimensions: [] })[1];
}

describe('docs/contracts-types.md', () => {
  it('has every kind of type', () => {
    expect(documentedTypes().length).toBeGreaterThan(25);
    expect(documentedRefusals().length).toBeGreaterThan(15);
  });

  it.each(documentedTypes())('is right that $avro is $iceberg', ({ avro, iceberg }) => {
    const required = columnOf(JSON.parse(avro));
    const optional = columnOf(['null', JSON.parse(avro)]);
    expect(typeText(required?.type ?? 'int')).toBe(iceberg);
    expect(optional).toEqual({ ...required, required: false });
  });

  it.each(documentedRefusals())('is right that $avro is refused: $says', ({ avro, says }) => {
    const within = {
      type: 'record',
      name: 'Within',
      fields: [{ name: 'b', type: JSON.parse(avro) }],
    };
    for (const [type, path] of [
      [JSON.parse(avro), 'field a'],
      [{ type: 'array', items: within }, 'field a[].b'],
    ] as const) {
      const contract = contractOf([{ name: 'a', type }]);
      expect(() => contractFields(contract)).toThrow(path);
      for (const part of says) expect(() => contractFields(contract)).toThrow(part);
    }
  });
});
