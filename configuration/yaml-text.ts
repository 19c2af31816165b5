import { stringify } from 'yaml';

/** A value as YAML text; long strings stay on their line, so that a change of one is one line of a diff. */
export function yamlText(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
