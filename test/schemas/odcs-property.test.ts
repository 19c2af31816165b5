import type { IcebergType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import { parseAvroType } from '../../schemas/avro-type.ts';
import type { RecordNode } from '../../schemas/avro-type.ts';
import { odcsOfColumn, odcsOfField } from '../../schemas/odcs-property.ts';
import { recordOf } from './avro-encoding.ts';

function ofAvro(type: unknown) {
  const record = parseAvroType(recordOf([{ name: 'x', type }])) as RecordNode;
  const { name: _name, ...rest } = odcsOfField(record.fields[0] as RecordNode['fields'][number]);
  return rest;
}

const ofIceberg = (type: IcebergType) => odcsOfColumn({ id: 1, name: 'x', required: false, type });

describe('a field of a contract', () => {
  it.each([
    ['boolean', 'boolean', 'boolean', undefined],
    ['int', 'integer', 'int', { format: 'i32' }],
    ['double', 'number', 'double', { format: 'f64' }],
    ['bytes', 'string', 'bytes', { format: 'binary' }],
    [{ type: 'fixed', name: 'F', size: 4 }, 'string', 'fixed[4]', { format: 'binary' }],
    [{ type: 'enum', name: 'E', symbols: ['A', 'B'] }, 'string', 'enum', { pattern: '^(A|B)$' }],
    [{ type: 'int', logicalType: 'date' }, 'date', 'int (date)', undefined],
    [{ type: 'int', logicalType: 'time-millis' }, 'time', 'int (time-millis)', undefined],
    [
      { type: 'long', logicalType: 'local-timestamp-micros' },
      'timestamp',
      'long (local-timestamp-micros)',
      { timezone: false },
    ],
    [{ type: 'string', logicalType: 'uuid' }, 'string', 'string (uuid)', { format: 'uuid' }],
  ])('%j is %s', (type, logicalType, physicalType, logicalTypeOptions) => {
    const options = logicalTypeOptions === undefined ? {} : { logicalTypeOptions };
    expect(ofAvro(type)).toEqual({ required: true, logicalType, physicalType, ...options });
  });

  it('is required unless it may be null', () => {
    expect(ofAvro(['null', 'string'])).toMatchObject({ required: false, logicalType: 'string' });
    expect(ofAvro(['string', 'null'])).toMatchObject({ required: false, physicalType: 'string' });
  });

  it('is nested as its type is', () => {
    const inner = { type: 'record', name: 'R', fields: [{ name: 'a', type: ['null', 'long'] }] };
    expect(ofAvro({ type: 'array', items: inner })).toEqual({
      required: true,
      logicalType: 'array',
      physicalType: 'array',
      items: {
        logicalType: 'object',
        physicalType: 'record',
        properties: [
          {
            name: 'a',
            required: false,
            logicalType: 'integer',
            logicalTypeOptions: { format: 'i64' },
            physicalType: 'long',
          },
        ],
      },
    });
    expect(ofAvro({ type: 'map', values: ['null', 'long'] })).toMatchObject({
      logicalType: 'object',
      physicalType: 'map<long>',
    });
  });
});

describe('a column of the table', () => {
  it.each<[IcebergType, string]>([
    ['long', 'integer'],
    ['float', 'number'],
    ['decimal(9, 2)', 'number'],
    ['timestamptz', 'timestamp'],
    ['time', 'time'],
    ['uuid', 'string'],
    ['binary', 'string'],
    ['fixed[3]', 'string'],
  ])('%s is a %s', (type, logicalType) => {
    expect(ofIceberg(type)).toMatchObject({ logicalType, physicalType: type, required: false });
  });

  it('is nested as its type is', () => {
    const fields = [{ id: 2, name: 'a', required: true, type: 'int' as const }];
    expect(ofIceberg({ type: 'struct', fields })).toMatchObject({
      logicalType: 'object',
      properties: [{ name: 'a', required: true, physicalType: 'int' }],
    });
    expect(
      ofIceberg({ type: 'list', elementId: 2, element: 'date', elementRequired: true }),
    ).toMatchObject({ logicalType: 'array', items: { logicalType: 'date' } });
    const map = { keyId: 2, valueId: 3, valueRequired: false };
    expect(ofIceberg({ type: 'map', key: 'string', value: 'double', ...map })).toMatchObject({
      logicalType: 'object',
      physicalType: 'map<string, double>',
    });
  });
});
