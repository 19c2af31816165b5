import { isScalarField, pathWithin } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import { defaultStore } from './default-value.ts';

/**
 * The first default of a contract that is no value of its type, its path first, as a sentence without a full stop;
 * undefined where there is none. Avro for Java and registries refuse such a contract; the decoder would take the field
 * for one without a default, and a record that lacks it for a reject.
 */
export function wrongDefault(fields: readonly ContractField[], path = ''): string | undefined {
  for (const field of fields) {
    const found = wrongWithin(field, pathWithin(path, 'struct', field.name));
    if (found !== undefined) return found;
  }
  return undefined;
}

function wrongWithin(field: ContractField, path: string): string | undefined {
  const { default: value } = field;
  if (value !== undefined && !isValue(field, value)) {
    return `field ${path} has a default of ${JSON.stringify(value)}, which is no value of its type: correct it, or leave it out`;
  }
  if (isScalarField(field)) return undefined;
  switch (field.column) {
    case 'struct':
      return wrongDefault(field.fields, path);
    case 'list':
      return wrongWithin(field.element, pathWithin(path, 'list', 'element'));
    case 'map':
      return wrongWithin(field.value, pathWithin(path, 'map', 'value'));
  }
}

/** Asks what stores defaults. */
function isValue(field: ContractField, value: unknown): boolean {
  const target = { column: 'column', row: 'row' };
  return defaultStore(field, value, target, () => 'constant') !== undefined;
}
