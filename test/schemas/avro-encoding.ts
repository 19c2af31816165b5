import avsc from 'avsc';
import type { BufferColumn, RowBuffer } from '../../schemas/row-buffer.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';

/** avsc with exact 64-bit longs: the oracle that our decoders are held against. */
const longType = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint | number) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: bigint, b: bigint) => (a < b ? -1 : Number(a > b)),
});

function typeHook(schema: unknown): avsc.Type | undefined {
  const isObject = typeof schema === 'object' && schema !== null && 'type' in schema;
  return (isObject ? schema.type : schema) === 'long' ? longType : undefined;
}

/** An avsc type whose longs are bigints; unions are wrapped only where they are ambiguous. */
export function avscType(avroSchema: unknown): avsc.Type {
  return avsc.Type.forSchema(avroSchema as avsc.Schema, { typeHook });
}

export function contractOf(fields: unknown[]): Contract {
  return { name: 'test', avroSchema: recordOf(fields) as Contract['avroSchema'] };
}

export function recordOf(fields: unknown[]): AvroObject {
  return { type: 'record', name: 'Test', fields } as AvroObject;
}

/**
 * The value of one cell: number, bigint, boolean, bytes or null; of what holds columns an object by name, an array, or an
 * object by key.
 */
export function cell(column: BufferColumn | undefined, row: number): unknown {
  if (column === undefined) throw new Error('expected a column, got none');
  if (column.valid[row] === 0) return null;
  switch (column.kind) {
    case 'int64': {
      const low = BigInt((column.words[2 * row] ?? 0) >>> 0);
      return (BigInt(column.words[2 * row + 1] ?? 0) << 32n) | low;
    }
    case 'bytes':
      return column.bytes.slice(column.offsets[row], column.offsets[row + 1]);
    case 'boolean':
      return column.values[row] === 1;
    case 'int32':
    case 'float32':
    case 'float64':
      return column.values[row];
    case 'struct':
      return Object.fromEntries(column.fields.map((field) => [field.name, cell(field, row)]));
    case 'list':
      return innerRows(column, row).map((item) => cell(column.element, item));
    case 'map':
      return Object.fromEntries(
        innerRows(column, row).map((item) => [
          new TextDecoder().decode(cell(column.key, item) as Uint8Array),
          cell(column.value, item),
        ]),
      );
  }
}

function innerRows({ offsets }: { offsets: Int32Array }, row: number): number[] {
  const [start = 0, end = 0] = [offsets[row], offsets[row + 1]];
  return Array.from({ length: end - start }, (_, index) => start + index);
}

/** A row as an object by column name. */
export function rowOf(buffer: RowBuffer, row: number): Record<string, unknown> {
  return Object.fromEntries(buffer.columns.map((column) => [column.name, cell(column, row)]));
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
