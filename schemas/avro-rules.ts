const avroName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether a field or a symbol may have the name. Source: Avro specification 1.12, "Names". */
export function isAvroName(name: string): boolean {
  return avroName.test(name);
}

/** Whether a type may have the name, with its namespace or without. Source: Avro specification 1.12, "Names". */
export function isFullName(name: string): boolean {
  return name.split('.').every(isAvroName);
}

/** Why a namespace is none, and what to do; undefined where it is one, or left out. */
export function wrongNamespace(namespace: unknown): string | undefined {
  if (namespace === undefined || namespace === null || namespace === '') return undefined;
  if (typeof namespace === 'string' && isFullName(namespace)) return undefined;
  return `its namespace is ${JSON.stringify(namespace)}: write names with points between them, such as shop.events`;
}

/** Why aliases are none, and what to do; undefined where they are, or are left out. Those of fields may be any text. */
export function wrongAliases(
  aliases: unknown,
  isAlias: (alias: string) => boolean = () => true,
): string | undefined {
  if (aliases === undefined) return undefined;
  if (!Array.isArray(aliases)) {
    return `its aliases are ${JSON.stringify(aliases)}: write a list, such as ["former_name"], or leave them out`;
  }
  const wrong: unknown = aliases.find((alias) => typeof alias !== 'string' || !isAlias(alias));
  if (wrong === undefined) return undefined;
  return `one of its aliases is ${JSON.stringify(wrong)}, which is no name: correct it, or take it away`;
}

/** Why an enum is none, and what to do; undefined where it is one. Source: Avro specification 1.12, "Enums". */
export function wrongEnum(
  name: string,
  symbols: readonly string[],
  fallback: unknown,
): string | undefined {
  if (symbols.length === 0) return `enum ${name} has no symbols: give it one`;
  const odd = symbols.find((symbol) => !isAvroName(symbol));
  if (odd !== undefined) {
    const rule = 'a symbol has letters from A to Z, digits and _, and no digit first';
    return `enum ${name} has the symbol ${JSON.stringify(odd)}, and ${rule}: rename it, or use a string`;
  }
  const twice = symbols.find((symbol, at) => symbols.indexOf(symbol) !== at);
  if (twice !== undefined) return `enum ${name} has the symbol ${twice} twice: take one away`;
  if (fallback === undefined || symbols.includes(fallback as string)) return undefined;
  const shown = typeof fallback === 'string' ? fallback : JSON.stringify(fallback);
  return `enum ${name} has a default of ${shown}, which is none of its symbols: add it to them, or name another`;
}

/** Why a decimal's scale is none, and what to do: a reader that ignores it would read another number. */
export function wrongScale({
  logicalType,
  scale,
}: Readonly<Record<string, unknown>>): string | undefined {
  if (logicalType !== 'decimal' || scale === undefined || typeof scale === 'number')
    return undefined;
  return `its scale is ${JSON.stringify(scale)}: write a number, or leave it out for 0`;
}
