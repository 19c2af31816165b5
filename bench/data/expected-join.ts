import { deviceId, deviceRow, urlRow, urlText, userRow } from '../../generate/dimension-rows.ts';
import { mix32 } from '../../generate/random.ts';
import type { DataSize } from './data-set.ts';

export type TableName = 'users' | 'devices' | 'urls';

export const TABLES: readonly TableName[] = ['users', 'devices', 'urls'];

/** What a join carries, by the column's name in the dimension: dates are days, decimals unscaled. */
export type CarriedColumns = Readonly<Record<string, string | number | null>>;

/** Undefined where no row has the key. */
export type ExpectedRow = CarriedColumns | undefined;

/**
 * The rows of the generator's first load by join key, computed: nothing is held, so that any size can be compared.
 * Urls are asked for in normal form.
 */
export function firstLoadRow(
  table: TableName,
  key: string,
  { seed, size }: { seed: number; size: DataSize },
): ExpectedRow {
  const number = numberOfKey(table, key, seed);
  return number >= 1 && number <= size[table] ? columnsOf(table, seed, number) : undefined;
}

/** The number of the row that has, or would have, this join key; 0 for a key that the generator never gives. */
export function numberOfKey(table: TableName, key: string, seed: number): number {
  switch (table) {
    case 'users':
      return Number(key);
    case 'devices': {
      const number = (unmix32(Number.parseInt(key.slice(2), 16)) ^ mix32(seed)) >>> 0;
      return deviceId(seed, number) === key ? number : 0;
    }
    case 'urls': {
      const number = Number(/-(\d{1,10})$/.exec(key)?.[1] ?? 0);
      return urlText(seed, number) === key ? number : 0;
    }
  }
}

/** What pipeline.yaml carries of a row; another seed gives other values for the same number. */
export function columnsOf(table: TableName, seed: number, number: number): CarriedColumns {
  switch (table) {
    case 'users': {
      const { name, country, tier, birthYear, signupDate } = userRow(seed, number);
      return { name, country, tier, birth_year: birthYear, signup_date: signupDate };
    }
    case 'devices': {
      const { os, osVersion, model, formFactor } = deviceRow(seed, number, 1);
      return { os, os_version: osVersion, model, form_factor: formFactor };
    }
    case 'urls': {
      const { domain, category, title, priceHundredths } = urlRow(seed, number);
      return { domain, category, title, price: priceHundredths };
    }
  }
}

/** The inverse of `mix32`: its steps backwards, with the inverses of its factors modulo 2^32. */
function unmix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x7ed1b41d);
  h = Math.imul(h ^ (h >>> 13) ^ (h >>> 26), 0xa5cb9243);
  return (h ^ (h >>> 16)) >>> 0;
}
