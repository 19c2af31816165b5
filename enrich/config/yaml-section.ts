import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Node, YAMLMap } from 'yaml';

/** One finding in a configuration file; `line` and `column` count from 1. */
export type ConfigIssue = { line: number; column: number; path: string; message: string };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a secret's file; injected so that parsing stays free of I/O. */
export type ReadSecretFile = (path: string) => string;

type Scalar = { value: string | number | boolean; node: Node | undefined };

/** What every section of one document shares. */
class DocumentReader {
  readonly issues: ConfigIssue[] = [];
  readonly lines = new LineCounter();
  readonly environment: Environment;
  readonly readSecretFile: ReadSecretFile;

  constructor(environment: Environment, readSecretFile: ReadSecretFile) {
    this.environment = environment;
    this.readSecretFile = readSecretFile;
  }

  report(node: Node | undefined, path: string, message: string): void {
    const at = this.lines.linePos(node?.range?.[0] ?? 0);
    this.issues.push({ line: Math.max(at.line, 1), column: Math.max(at.col, 1), path, message });
  }

  /** `${NAME}`, `${NAME:-default}`; NAME_FILE names a file that holds the value. */
  interpolate(text: string, node: Node | undefined, path: string): string {
    return text.replaceAll(
      /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
      (_all, name: string, fallback: string | undefined) => {
        const direct = this.environment[name];
        if (direct !== undefined && direct !== '') return direct;
        const file = this.environment[`${name}_FILE`];
        if (file !== undefined && file !== '') return this.secretFrom(file, name, node, path);
        if (fallback !== undefined) return fallback;
        this.report(
          node,
          path,
          `environment variable ${name} is not set; set it, or ${name}_FILE, or write \${${name}:-default}`,
        );
        return '';
      },
    );
  }

  private secretFrom(file: string, name: string, node: Node | undefined, path: string): string {
    try {
      return this.readSecretFile(file).trimEnd();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.report(node, path, `${name}_FILE cannot be read: ${reason}`);
      return '';
    }
  }
}

/**
 * A mapping of a YAML document, read key by key. Nothing throws: each finding is collected with its line,
 * so that the user sees all of them at once, and a wrong value reads as its default.
 */
export class YamlSection {
  private readonly reader: DocumentReader;
  private readonly map: YAMLMap | undefined;
  private readonly path: string;
  private readonly asked = new Set<string>();

  private constructor(reader: DocumentReader, map: YAMLMap | undefined, path: string) {
    this.reader = reader;
    this.map = map;
    this.path = path;
  }

  static parse(
    text: string,
    environment: Environment,
    readSecretFile: ReadSecretFile,
  ): { root: YamlSection; issues: ConfigIssue[] } {
    const reader = new DocumentReader(environment, readSecretFile);
    const document = parseDocument(text, { lineCounter: reader.lines });
    for (const error of document.errors) {
      const at = reader.lines.linePos(error.pos[0]);
      const message = error.message.split('\n')[0] ?? error.message;
      reader.issues.push({ line: at.line, column: at.col, path: '', message });
    }
    const contents = document.contents;
    if (!isMap(contents)) {
      reader.report(contents ?? undefined, '', 'expected a mapping at the top of the file');
      return { root: new YamlSection(reader, undefined, ''), issues: reader.issues };
    }
    return { root: new YamlSection(reader, contents, ''), issues: reader.issues };
  }

  has(key: string): boolean {
    return this.node(key) !== undefined;
  }

  /** Reports against this key; for checks that span several keys. */
  report(key: string, message: string): void {
    this.reader.report(this.node(key) ?? this.map, this.at(key), message);
  }

  section(key: string): YamlSection {
    const node = this.node(key);
    if (node === undefined) return new YamlSection(this.reader, undefined, this.at(key));
    if (isMap(node)) return new YamlSection(this.reader, node, this.at(key));
    this.reader.report(node, this.at(key), 'expected a mapping');
    return new YamlSection(this.reader, undefined, this.at(key));
  }

  sections(key: string): YamlSection[] {
    const node = this.node(key);
    if (node === undefined) return [];
    if (!isSeq(node)) {
      this.reader.report(node, this.at(key), 'expected a list');
      return [];
    }
    return node.items.map((item, index) => {
      const path = `${this.at(key)}[${index}]`;
      if (isMap(item)) return new YamlSection(this.reader, item, path);
      this.reader.report(item as Node, path, 'expected a mapping');
      return new YamlSection(this.reader, undefined, path);
    });
  }

  string(key: string): string {
    return this.optionalString(key) ?? this.missing(key, '');
  }

  optionalString(key: string): string | undefined {
    const found = this.scalar(key);
    return found === undefined ? undefined : String(found.value);
  }

  boolean(key: string, fallback: boolean): boolean {
    const found = this.scalar(key);
    if (found === undefined) return fallback;
    if (found.value === true || found.value === 'true') return true;
    if (found.value === false || found.value === 'false') return false;
    this.reader.report(found.node, this.at(key), `expected true or false, got "${found.value}"`);
    return fallback;
  }

  integer(key: string, fallback: number, bounds: { min: number; max: number }): number {
    const found = this.scalar(key);
    if (found === undefined) return fallback;
    const value = Number(found.value);
    if (Number.isInteger(value) && value >= bounds.min && value <= bounds.max) return value;
    const range = `an integer from ${bounds.min} to ${bounds.max}`;
    this.reader.report(found.node, this.at(key), `expected ${range}, got "${found.value}"`);
    return fallback;
  }

  /** `250ms`, `30s`, `5m`, `1h`, in milliseconds. */
  durationMs(key: string, fallbackMs: number): number {
    const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    return this.quantity(key, fallbackMs, units, 'a duration such as 500ms, 30s or 5m');
  }

  /** `512KiB`, `256MiB`, `1GiB`, in bytes. */
  sizeBytes(key: string, fallbackBytes: number): number {
    const units: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
    return this.quantity(key, fallbackBytes, units, 'a size such as 64MiB or 1GiB');
  }

  strings(key: string): string[] {
    const node = this.node(key);
    if (node === undefined) return [];
    if (!isSeq(node)) {
      this.reader.report(node, this.at(key), 'expected a list of strings');
      return [];
    }
    return node.items.flatMap((item, index) => {
      const path = `${this.at(key)}[${index}]`;
      const value = isScalar(item) ? item.value : undefined;
      if (typeof value === 'string') return [this.reader.interpolate(value, item as Node, path)];
      if (typeof value === 'number' || typeof value === 'boolean') return [String(value)];
      this.reader.report(item as Node, path, 'expected a string');
      return [];
    });
  }

  stringMap(key: string): Record<string, string> {
    const node = this.node(key);
    if (node === undefined) return {};
    if (!isMap(node)) {
      this.reader.report(node, this.at(key), 'expected a mapping of strings');
      return {};
    }
    const entries = node.items.flatMap((pair) => {
      const name = String(isScalar(pair.key) ? pair.key.value : pair.key);
      const value = pair.value;
      if (isScalar(value)) {
        const text = this.reader.interpolate(String(value.value), value, `${this.at(key)}.${name}`);
        return [[name, text] as const];
      }
      this.reader.report(value as Node, `${this.at(key)}.${name}`, 'expected a string');
      return [];
    });
    return Object.fromEntries(entries);
  }

  choice<const T extends string>(key: string, choices: readonly T[], fallback: T): T {
    const found = this.scalar(key);
    if (found === undefined) return fallback;
    const match = choices.find((choice) => choice === found.value);
    if (match !== undefined) return match;
    const hint = didYouMean(String(found.value), choices);
    this.reader.report(
      found.node,
      this.at(key),
      `expected one of ${choices.join(', ')}, got "${found.value}"${hint}`,
    );
    return fallback;
  }

  /** To be called once every known key was asked for: whatever else stands there is a mistake. */
  rejectUnknownKeys(): void {
    for (const pair of this.map?.items ?? []) {
      const name = isScalar(pair.key) ? String(pair.key.value) : '';
      if (this.asked.has(name)) continue;
      const hint = didYouMean(name, [...this.asked]);
      this.reader.report(pair.key as Node, this.at(name), `unknown key "${name}"${hint}`);
    }
  }

  private quantity(
    key: string,
    fallback: number,
    units: Record<string, number>,
    wanted: string,
  ): number {
    const found = this.scalar(key);
    if (found === undefined) return fallback;
    const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(String(found.value));
    const factor = units[match?.[2] ?? ''];
    if (match !== null && factor !== undefined) return Math.round(Number(match[1]) * factor);
    this.reader.report(found.node, this.at(key), `expected ${wanted}, got "${found.value}"`);
    return fallback;
  }

  private node(key: string): Node | undefined {
    this.asked.add(key);
    const node = this.map?.get(key, true) as Node | undefined;
    return isScalar(node) && node.value === null ? undefined : node;
  }

  private scalar(key: string): Scalar | undefined {
    const node = this.node(key);
    if (node === undefined) return undefined;
    if (!isScalar(node)) {
      this.reader.report(node, this.at(key), 'expected a single value');
      return undefined;
    }
    const value = node.value;
    if (typeof value === 'string') {
      return { value: this.reader.interpolate(value, node, this.at(key)), node };
    }
    if (typeof value === 'number' || typeof value === 'boolean') return { value, node };
    this.reader.report(node, this.at(key), 'expected text, a number or true/false');
    return undefined;
  }

  private missing<T>(key: string, fallback: T): T {
    this.reader.report(this.map, this.at(key), `missing key "${key}"`);
    return fallback;
  }

  private at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

/** `; did you mean "x"?` for the nearest candidate within a third of the word's length, else nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const nearest = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  const limit = Math.max(2, Math.floor(word.length / 3));
  return nearest !== undefined && nearest.distance <= limit
    ? `; did you mean "${nearest.candidate}"?`
    : '';
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_unused, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const best = Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
      current.push(best);
    }
    previous = current;
  }
  return previous[b.length] ?? Math.max(a.length, b.length);
}
