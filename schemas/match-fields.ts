/**
 * The earlier field that each field is read from: the one of its name, else of the first of its aliases that no other
 * field is read from. Names come first, so that a field which keeps its name keeps its values, whatever aliases others
 * have, in whatever order; no earlier field is read twice. Writers, older contracts and tables are all matched so.
 * Source: Avro specification 1.12, "Aliases", which leaves open what comes first.
 */
export function matchFields<
  Field extends { name: string; aliases: readonly string[] },
  Earlier extends { name: string },
>(fields: readonly Field[], earlier: readonly Earlier[]): Map<Field, Earlier> {
  const free = new Map(earlier.map((field) => [field.name, field]));
  const matches = new Map<Field, Earlier>();
  const match = (field: Field, name: string): void => {
    const found = free.get(name);
    if (found === undefined || matches.has(field)) return;
    matches.set(field, found);
    free.delete(name);
  };
  for (const field of fields) match(field, field.name);
  for (const field of fields) for (const alias of field.aliases) match(field, alias);
  return matches;
}
