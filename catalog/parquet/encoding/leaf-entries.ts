/** The entries of a column with values in a row group: values, and places where there is none. */
export type LeafEntries = {
  count: number;
  /** Where the values stand: rows of the column, or codes of its dictionary. */
  at: Int32Array;
  /** The definition level of each entry; absent where all have a value. */
  definition: Uint8Array | undefined;
  /** That of an entry with a value; without one the file has no definition levels. */
  definitionMax: number;
  /** The repetition level of each entry; absent where each entry is a row. */
  repetition: Uint8Array | undefined;
  repetitionMax: number;
};
