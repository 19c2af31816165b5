import { deviceId, deviceRow, urlRow, urlText, userRow } from '../../generate/dimension-rows.ts';
import { mix32 } from '../../generate/random.ts';
import type { DataSize } from './data-set.ts';

/** A value as the table has it: dates are days, decimals unscaled. */
export type ExpectedValue = string | number | null;

/** What a join carries, by the column's name in the dimension; undefined where no row has the key. */
export type ExpectedRow = Readonly<Record<string, ExpectedValue>> | undefined;

export type TableName = 'users' | 'devices' | 'urls';

/**
 * The rows of the generator's first load by join key, computed: nothing is held, so that any size can be compared.
 * Urls are asked for in normal form.
 */
export function openFirstLoad(
  seed: number,
  size: DataSize,
): Readonly<Record<TableName, (key: string) => ExpectedRow>> {
  return {
    users(key) {
      const number = Number(key);
      return number >= 1 && number <= size.users ? userColumns(seed, number) : undefined;
    },
    devices(key) {
      const number = deviceNumber(seed, key);
      if (number < 1 || number > size.devices || deviceId(seed, number) !== key) return undefined;
      return deviceColumns(seed, number);
    },
    urls(key) {
      const number = Number(/-(\d{1,10})$/.exec(key)?.[1] ?? 0);
      if (number < 1 || number > size.urls || urlText(seed, number) !== key) return undefined;
      return urlColumns(seed, number);
    },
  };
}

/** What pipeline.yaml carries of a user. */
export function userColumns(seed: number, number: number): ExpectedRow {
  const { name, country, tier, birthYear, signupDate } = userRow(seed, number);
  return { name, country, tier, birth_year: birthYear, signup_date: signupDate };
}

/** What pipeline.yaml carries of a device. */
export function deviceColumns(seed: number, number: number): ExpectedRow {
  const { os, osVersion, model, formFactor } = deviceRow(seed, number, 1);
  return { os, os_version: osVersion, model, form_factor: formFactor };
}

/** What pipeline.yaml carries of a url. */
export function urlColumns(seed: number, number: number): ExpectedRow {
  const { domain, category, title, priceHundredths } = urlRow(seed, number);
  return { domain, category, title, price: priceHundredths };
}

/** The number whose device has this id. */
export function deviceNumber(seed: number, id: string): number {
  return (unmix32(Number.parseInt(id.slice(2), 16)) ^ mix32(seed)) >>> 0;
}

/** The inverse of `mix32`: its steps backwards, with the inverses of its factors modulo 2^32. */
function unmix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x7ed1b41d);
  h = Math.imul(h ^ (h >>> 13) ^ (h >>> 26), 0xa5cb9243);
  return (h ^ (h >>> 16)) >>> 0;
}
