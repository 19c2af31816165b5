import { CatalogError } from '../error.ts';

/**
 * Readers for the fields of a JSON object of the Iceberg specs. Each takes the object and a field's
 * wire name and throws a `CatalogError` of kind `corrupt` that names the field, what was expected
 * and what was there. A null counts as absent.
 */

/** A JSON object with 64-bit integers intact, as `parseJson` returns it. */
export type WireObject = Readonly<Record<string, unknown>>;

/** Asserts a JSON object; `what` names it in the error. */
export function wireObject(value: unknown, what: string): WireObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unexpected(what, 'an object', value);
  }
  return value as WireObject;
}

/** A required string. */
export function stringAt(object: WireObject, name: string): string {
  const value = object[name];
  if (typeof value !== 'string') throw unexpected(name, 'a string', value);
  return value;
}

/** A required boolean. */
export function booleanAt(object: WireObject, name: string): boolean {
  const value = object[name];
  if (typeof value !== 'boolean') throw unexpected(name, 'a boolean', value);
  return value;
}

/** An integer that a double holds exactly: small ids, counts, epoch ms. */
export function intAt(object: WireObject, name: string): number {
  const value = object[name];
  if (!Number.isSafeInteger(value)) throw unexpected(name, 'an integer', value);
  return value as number;
}

/** A 64-bit integer, always as `bigint`, however few digits it has. */
export function longAt(object: WireObject, name: string): bigint {
  const value = object[name];
  if (typeof value === 'bigint') return value;
  if (!Number.isSafeInteger(value)) throw unexpected(name, 'a 64-bit integer', value);
  return BigInt(value as number);
}

/** Epoch milliseconds or another duration, which the wire may carry as any 64-bit integer. */
export function millisAt(object: WireObject, name: string): number {
  return Number(longAt(object, name));
}

/** A required object. */
export function objectAt(object: WireObject, name: string): WireObject {
  return wireObject(object[name], name);
}

/** A list of objects; an absent list is empty. */
export function objectsAt(object: WireObject, name: string): readonly WireObject[] {
  return listAt(object, name).map((item) => wireObject(item, `an item of ${name}`));
}

/** A list of integers; an absent list is empty. */
export function intsAt(object: WireObject, name: string): readonly number[] {
  return listAt(object, name).map((item) => intAt({ [name]: item }, name));
}

/** A map of strings; an absent map is empty. */
export function stringMapAt(object: WireObject, name: string): Readonly<Record<string, string>> {
  if (isAbsent(object, name)) return {};
  const map = objectAt(object, name);
  for (const key of Object.keys(map)) stringAt(map, key);
  return map as Readonly<Record<string, string>>;
}

/** What `read` makes of a field, or undefined where the field is absent or null. */
export function optionalAt<T>(
  object: WireObject,
  name: string,
  read: (object: WireObject, name: string) => T,
): T | undefined {
  return isAbsent(object, name) ? undefined : read(object, name);
}

/** `{ [name]: value }`, or nothing for undefined: optional fields are left out, never undefined. */
export function present<Name extends string, T>(
  name: Name,
  value: T | undefined,
): { [key in Name]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]: T });
}

function isAbsent(object: WireObject, name: string): boolean {
  return object[name] === undefined || object[name] === null;
}

function listAt(object: WireObject, name: string): readonly unknown[] {
  if (isAbsent(object, name)) return [];
  const value = object[name];
  if (!Array.isArray(value)) throw unexpected(name, 'a list', value);
  return value;
}

function unexpected(what: string, expected: string, value: unknown): CatalogError {
  const found = typeof value === 'object' && value !== null ? 'another value' : String(value);
  return new CatalogError('corrupt', `${what}: expected ${expected}, got ${found.slice(0, 100)}`);
}
