import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '../../docs/contracts-types.md');

/** The rows of the tables of docs/contracts-types.md, without their heads: texts of the cells. */
function tables(): string[][][] {
  const found: string[][][] = [];
  let isTable = false;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line.startsWith('|')) {
      isTable = false;
      continue;
    }
    if (!isTable) found.push([]);
    isTable = true;
    found.at(-1)?.push(line.split('|').slice(1, -1).map(withoutTicks));
  }
  return found.map((rows) => rows.slice(2));
}

function withoutTicks(cell: string): string {
  return cell.trim().replaceAll(/^`|`$/g, '');
}

/** An Avro type in JSON, and what it is in the table and to Trino. */
export type DocumentedType = { avro: string; iceberg: string; trino: string };

export function documentedTypes(): DocumentedType[] {
  const [types = []] = tables();
  return types.map(([avro = '', iceberg = '', trino = '']) => ({ avro, iceberg, trino }));
}

/** An Avro type in JSON, and parts of the sentence that refuses it. */
export function documentedRefusals(): { avro: string; says: string[] }[] {
  const [, refusals = []] = tables();
  return refusals.map(([avro = '', says = '']) => ({ avro, says: says.split('; ') }));
}
