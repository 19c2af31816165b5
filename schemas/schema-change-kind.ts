/** Kinds of difference between a contract and the schema that a writer uses. */
export type SchemaChangeKind =
  /** The writer has a field that the contract lacks. */
  | 'add-field'
  /** To a type that takes more values, and that the column can become as it stands. */
  | 'widen-type'
  /** The writer may write null where the contract does not. */
  | 'make-optional'
  /** The writer lacks a field that the contract gives no default for. */
  | 'drop-field'
  /** The writer has the field under another name, and names the contract's as an alias. */
  | 'rename-field'
  /** To a type that the column cannot become. */
  | 'change-type';

/** The kinds that a table can follow. */
export const evolvableKinds = [
  'add-field',
  'widen-type',
  'make-optional',
  'drop-field',
  'rename-field',
] as const satisfies readonly SchemaChangeKind[];
