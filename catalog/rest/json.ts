/**
 * JSON with 64-bit integers. Snapshot ids are random 63-bit numbers, and a plain `JSON.parse`
 * rounds them without a word. Source: ECMAScript, "JSON.parse source text access".
 */

/** Any JSON value as `parseJson` returns it. */
export type JsonValue =
  null | boolean | number | bigint | string | readonly JsonValue[] | JsonObject;

/** A JSON object as `parseJson` returns it. */
export type JsonObject = { readonly [name: string]: JsonValue };

const INTEGER = /^-?\d+$/;

/** Node has both since V8 11.4; the es2024 typings do not know them yet. */
type SourceTextJson = {
  parse(
    text: string,
    reviver: (name: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  stringify(value: unknown, replacer: (name: string, value: unknown) => unknown): string;
  rawJSON(text: string): unknown;
};

const sourceTextJson: SourceTextJson = JSON as unknown as SourceTextJson;

/**
 * Parses JSON; integers that a double cannot hold exactly come out as `bigint`, all others as
 * numbers. Throws a SyntaxError for a text that is not JSON.
 */
export function parseJson(text: string): JsonValue {
  return sourceTextJson.parse(text, (_name, value, context) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const { source } = context;
    return source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
  }) as JsonValue;
}

/** Writes compact JSON; a `bigint` becomes a number literal with all its digits. */
export function stringifyJson(value: unknown): string {
  return sourceTextJson.stringify(value, (_name, item) =>
    typeof item === 'bigint' ? sourceTextJson.rawJSON(item.toString()) : item,
  );
}
