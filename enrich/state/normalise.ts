import type { NormaliserName } from '../config/pipeline-config.ts';

/**
 * Join keys are brought to one form on both sides, as UTF-8 bytes. All of these work on ASCII only, leave
 * other bytes alone, never lengthen a key, and change nothing when applied a second time.
 *
 * - `none`: as it is.
 * - `lower-case`: A to Z become a to z.
 * - `trim`: spaces, tabs, line feeds, vertical tabs, form feeds and carriage returns at both ends go.
 * - `url`: the fragment goes (from the first `#` on); the scheme becomes lower case; where `//` follows
 *   the scheme, so does the host, that is what stands after a last `@` and before the first `/` or `?`.
 *   Nothing else: user, port (also the default one), path, query, percent-encoding, a missing slash and
 *   dot segments stay. Text without a scheme only loses its fragment.
 *   Source: RFC 3986, sections 3 and 6.2.2.1.
 */
type Normaliser = {
  /** Whether the slice is not in its one form yet. */
  changes(bytes: Uint8Array, start: number, end: number): boolean;
  /** Writes the form of the slice to `target` from `at` on and returns the end there. */
  write(slice: Slice, target: Uint8Array, at: number): number;
};

type Slice = { bytes: Uint8Array; start: number; end: number };

/** Text or bytes: entry i is `bytes[offsets[i] .. offsets[i + 1])`. */
export type KeySlices = { bytes: Uint8Array; offsets: Int32Array };

/** The keys in their one form. The input itself where nothing changes; it is never written to. */
export function normaliseSlices(name: NormaliserName, keys: KeySlices, count: number): KeySlices {
  const normaliser = normalisers[name];
  const changed = firstChanged(normaliser, keys, count);
  if (changed === count) return keys;
  const { bytes, offsets } = keys;
  const from = offsets[0] ?? 0;
  const changedFrom = offsets[changed] ?? 0;
  const target = new Uint8Array((offsets[count] ?? 0) - from);
  const targetOffsets = new Int32Array(count + 1);
  target.set(bytes.subarray(from, changedFrom));
  for (let i = 0; i <= changed; i++) targetOffsets[i] = (offsets[i] ?? 0) - from;
  let at = changedFrom - from;
  for (let i = changed; i < count; i++) {
    at = normaliser.write({ bytes, start: offsets[i] ?? 0, end: offsets[i + 1] ?? 0 }, target, at);
    targetOffsets[i + 1] = at;
  }
  return { bytes: target, offsets: targetOffsets };
}

/** One key in its one form; the input itself where nothing changes. */
export function normaliseKey(name: NormaliserName, key: Uint8Array): Uint8Array {
  const normaliser = normalisers[name];
  if (!normaliser.changes(key, 0, key.length)) return key;
  const target = new Uint8Array(key.length);
  const end = normaliser.write({ bytes: key, start: 0, end: key.length }, target, 0);
  return target.subarray(0, end);
}

function firstChanged(normaliser: Normaliser, { bytes, offsets }: KeySlices, count: number) {
  for (let i = 0; i < count; i++) {
    if (normaliser.changes(bytes, offsets[i] ?? 0, offsets[i + 1] ?? 0)) return i;
  }
  return count;
}

const none: Normaliser = { changes: () => false, write: writeSlice };

const lowerCase: Normaliser = {
  changes: hasUpper,
  write: (slice, target, at) => {
    const end = writeSlice(slice, target, at);
    lower(target, at, end);
    return end;
  },
};

const trim: Normaliser = {
  changes: (bytes, start, end) =>
    start < end && (isSpace(bytes[start] as number) || isSpace(bytes[end - 1] as number)),
  write: ({ bytes, start, end }, target, at) => {
    let first = start;
    let last = end;
    while (first < last && isSpace(bytes[first] as number)) first++;
    while (last > first && isSpace(bytes[last - 1] as number)) last--;
    return writeSlice({ bytes, start: first, end: last }, target, at);
  },
};

const url: Normaliser = {
  changes: (bytes, start, end) => {
    if (fragmentStart(bytes, start, end) < end) return true;
    const schemeEnd = endOfScheme(bytes, start, end);
    if (schemeEnd === start) return false;
    if (hasUpper(bytes, start, schemeEnd)) return true;
    const authority = startOfAuthority(bytes, schemeEnd, end);
    const authorityEnd = endOfAuthority(bytes, authority, end);
    return hasUpper(bytes, startOfHost(bytes, authority, authorityEnd), authorityEnd);
  },
  write: ({ bytes, start, end }, target, at) => {
    const kept = fragmentStart(bytes, start, end);
    const written = writeSlice({ bytes, start, end: kept }, target, at);
    const schemeEnd = endOfScheme(target, at, written);
    if (schemeEnd === at) return written;
    lower(target, at, schemeEnd);
    const authority = startOfAuthority(target, schemeEnd, written);
    const authorityEnd = endOfAuthority(target, authority, written);
    lower(target, startOfHost(target, authority, authorityEnd), authorityEnd);
    return written;
  },
};

const normalisers: Readonly<Record<NormaliserName, Normaliser>> = {
  none,
  'lower-case': lowerCase,
  trim,
  url,
};

const HASH = 0x23;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const COLON = 0x3a;
const QUESTION = 0x3f;
const AT = 0x40;

function writeSlice({ bytes, start, end }: Slice, target: Uint8Array, at: number): number {
  let to = at;
  for (let from = start; from < end; from++) target[to++] = bytes[from] as number;
  return to;
}

function fragmentStart(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) if (bytes[at] === HASH) return at;
  return end;
}

/** The place after the colon that ends a scheme, or `start` where there is none. */
function endOfScheme(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === COLON) return at > start ? at + 1 : start;
    if (isLetter(byte)) continue;
    if (at === start || !isSchemeMark(byte)) return start;
  }
  return start;
}

/** The place after the `//` that follows the colon of a scheme, or `end` where there is none. */
function startOfAuthority(bytes: Uint8Array, schemeEnd: number, end: number): number {
  const slashes = bytes[schemeEnd] === SLASH && bytes[schemeEnd + 1] === SLASH;
  return slashes && schemeEnd + 2 <= end ? schemeEnd + 2 : end;
}

function endOfAuthority(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === SLASH || byte === QUESTION) return at;
  }
  return end;
}

function startOfHost(bytes: Uint8Array, start: number, end: number): number {
  for (let at = end - 1; at >= start; at--) if (bytes[at] === AT) return at + 1;
  return start;
}

function isLetter(byte: number): boolean {
  const lowered = byte | 0x20;
  return lowered >= 0x61 && lowered <= 0x7a;
}

function isSchemeMark(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === PLUS || byte === DASH || byte === DOT;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function hasUpper(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x41 && byte <= 0x5a) return true;
  }
  return false;
}

function lower(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x41 && byte <= 0x5a) bytes[at] = byte | 0x20;
  }
}
