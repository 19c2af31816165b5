import { contractFields } from './contract-field.ts';
import type { Contract } from './contract.ts';
import type { DimensionColumns } from './table-schema.ts';

/**
 * The names that columns of the table had before, by their names now, as the aliases of the contracts tell; of carried
 * columns with the dimension's prefix. Errors: `config` for a contract that has no columns.
 */
export function formerColumnNames(options: {
  streamContract: Contract;
  dimensions: readonly DimensionColumns[];
}): Map<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  for (const { name, aliases } of contractFields(options.streamContract)) {
    if (aliases.length > 0) names.set(name, aliases);
  }
  for (const { contract, columns, prefix } of options.dimensions) {
    for (const { name, aliases } of contractFields(contract)) {
      if (aliases.length === 0 || !columns.includes(name)) continue;
      names.set(
        `${prefix}${name}`,
        aliases.map((alias) => `${prefix}${alias}`),
      );
    }
  }
  return names;
}
