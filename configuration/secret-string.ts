/** A value that never shows in logs, errors or `validate --show`; only `reveal` gives it out. */
export type SecretString = { reveal: () => string; toJSON: () => string; toString: () => string };

/** Hides a value behind `reveal`; JSON and text show `***` in its place. */
export function secret(value: string): SecretString {
  return { reveal: () => value, toJSON: () => '***', toString: () => '***' };
}
