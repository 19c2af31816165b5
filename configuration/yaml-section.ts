import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node, YAMLMap } from 'yaml';
import type { ConfigIssue, IssuePath } from './config-issue.ts';
import { didYouMean } from './did-you-mean.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a secret's file; injected so that parsing stays free of I/O. */
export type ReadSecretFile = (path: string) => string;

type Place = { line: number; column: number };

/** A document to be read section by section, and where its values stand; or why it cannot be read. */
export type ParsedDocument =
  | { kind: 'unreadable'; issues: readonly ConfigIssue[] }
  | {
      kind: 'parsed';
      root: YamlSection;
      /** Grows while the sections are read. */
      issues: readonly ConfigIssue[];
      /** The place of a value, or of the nearest mapping around it that the file has. */
      locate: (path: IssuePath) => Place;
    };

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
    this.issues.push({ ...this.placeOf(node), path, message });
  }

  placeOf(node: Node | undefined): Place {
    const at = this.lines.linePos(node?.range?.[0] ?? 0);
    return { line: Math.max(at.line, 1), column: Math.max(at.col, 1) };
  }

  /**
   * `${NAME}`, `${NAME:-default}`; NAME_FILE names a file that holds the value. A variable that is set
   * wins over its file, and an empty one counts as not set.
   */
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

  /** A file that is no YAML mapping has no sections: `issues` then says only that. */
  static parse(
    text: string,
    environment: Environment,
    readSecretFile: ReadSecretFile,
  ): ParsedDocument {
    const reader = new DocumentReader(environment, readSecretFile);
    const document = parseDocument(text, { lineCounter: reader.lines });
    for (const error of document.errors) {
      const at = reader.lines.linePos(error.pos[0]);
      const message = error.message.split('\n')[0] ?? error.message;
      reader.issues.push({ line: at.line, column: at.col, path: '', message });
    }
    const { issues } = reader;
    if (issues.length > 0) return { kind: 'unreadable', issues };
    const { contents } = document;
    if (isMap(contents)) {
      const locate = (path: IssuePath): Place => reader.placeOf(nearestNode(document, path));
      return { kind: 'parsed', root: new YamlSection(reader, contents, ''), issues, locate };
    }
    const isEmpty = contents === null || (isScalar(contents) && contents.value === null);
    const message = isEmpty ? 'the file is empty' : 'expected a mapping at the top of the file';
    reader.report(contents ?? undefined, '', message);
    return { kind: 'unreadable', issues };
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

  /** A text that must be there and not be empty. */
  string(key: string): string {
    const before = this.reader.issues.length;
    const value = this.optionalString(key) ?? this.missing(key, '');
    if (value === '' && this.reader.issues.length === before) {
      this.report(key, 'expected a value, got an empty text');
    }
    return value;
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

  /** Without a fallback the key must be there. */
  integer(key: string, fallback: number | undefined, bounds: { min: number; max: number }): number {
    const found = this.scalar(key);
    if (found === undefined) return fallback ?? this.missing(key, bounds.min);
    const value = Number(found.value);
    const isText = /^\d+$/.test(String(found.value));
    if (isText && value >= bounds.min && value <= bounds.max) return value;
    const range = `an integer from ${bounds.min} to ${bounds.max}`;
    this.reader.report(found.node, this.at(key), `expected ${range}, got "${found.value}"`);
    return fallback ?? bounds.min;
  }

  /** `250ms`, `30s`, `5m`, `1h`, in milliseconds. */
  durationMs(key: string, fallbackMs: number): number {
    const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    return this.quantity(key, fallbackMs, units, 'a duration such as 500ms, 30s or 5m');
  }

  /** `512KiB`, `256MiB`, `1GiB`, in bytes. */
  sizeBytes(key: string, fallbackBytes: number): number {
    const units: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
    return this.quantity(key, fallbackBytes, units, 'a size such as 64MiB or 256MiB');
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

  /** A list of some of the choices, which may be empty; undefined where the key is not there. */
  choices<const T extends string>(key: string, choices: readonly T[]): T[] | undefined {
    if (!this.has(key)) return undefined;
    return this.strings(key).flatMap((value) => {
      const match = choices.find((choice) => choice === value);
      if (match !== undefined) return [match];
      const hint = didYouMean(value, choices);
      this.report(key, `expected some of ${choices.join(', ')}, got "${value}"${hint}`);
      return [];
    });
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

function nearestNode(document: Document, path: IssuePath): Node | undefined {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node)) return node;
  }
  return undefined;
}
