/**
 * Iceberg types and table schemas, format version 2.
 * Source: Iceberg table spec, "Schemas and Data Types" and appendix C (JSON serialisation).
 */

export type PrimitiveType =
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'string'
  | 'uuid'
  | 'binary'
  | `fixed[${number}]`
  | `decimal(${number}, ${number})`;

export type ListType = {
  type: 'list';
  elementId: number;
  element: IcebergType;
  elementRequired: boolean;
};

export type MapType = {
  type: 'map';
  keyId: number;
  key: IcebergType;
  valueId: number;
  value: IcebergType;
  valueRequired: boolean;
};

export type StructType = { type: 'struct'; fields: readonly NestedField[] };

export type IcebergType = PrimitiveType | ListType | MapType | StructType;

export type NestedField = {
  id: number;
  name: string;
  required: boolean;
  type: IcebergType;
  doc?: string;
};

export type TableSchema = {
  schemaId: number;
  fields: readonly NestedField[];
  identifierFieldIds?: readonly number[];
};
