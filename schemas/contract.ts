/** A contract: one `*.avsc` file of `schemas/`, an Avro record. The file in git is the truth. */
export type AvroType = string | AvroObject | readonly AvroType[];

export type AvroObject = {
  type: string | AvroObject | readonly AvroType[];
  name?: string;
  namespace?: string;
  doc?: string;
  fields?: readonly AvroField[];
  logicalType?: string;
  precision?: number;
  scale?: number;
  size?: number;
  symbols?: readonly string[];
  items?: AvroType;
  values?: AvroType;
  [property: string]: unknown;
};

export type AvroField = {
  name: string;
  type: AvroType;
  doc?: string;
  default?: unknown;
  aliases?: readonly string[];
};

export type Contract = {
  /** File name without `.avsc`: `click`, `user`, `device`, `url`. */
  name: string;
  avroSchema: AvroObject & { fields: readonly AvroField[] };
};
