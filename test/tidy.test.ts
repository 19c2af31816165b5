import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Which floors each floor may import. A floor may always import itself. */
const FLOORS: Record<string, readonly string[]> = {
  configuration: [],
  catalog: [],
  connectors: ['configuration'],
  schemas: ['catalog'],
  enrich: ['configuration', 'catalog', 'connectors', 'schemas'],
  generate: ['catalog', 'connectors', 'schemas'],
  verify: ['catalog', 'connectors', 'schemas'],
  stack: [],
  cli: [
    'configuration',
    'catalog',
    'connectors',
    'schemas',
    'enrich',
    'generate',
    'verify',
    'stack',
  ],
  bench: ['connectors', 'schemas', 'enrich', 'generate', 'verify', 'cli', 'stack', 'catalog'],
};

/** Packages that these files alone may import, types aside, so that replacing one means changing them. */
const SOLE_IMPORTERS: Record<string, readonly string[]> = {
  rocksdb: ['enrich/state/rocksdb-store.ts'],
  '@aws-sdk/client-s3': ['catalog/store/s3-store.ts'],
  hyparquet: ['catalog/read/read-columns.ts'],
  '@kafkajs/confluent-schema-registry': ['schemas/registry.ts'],
  '@platformatic/kafka': [
    'bench/kafka/batch-producer.ts',
    'enrich/source/platformatic-fault.ts',
    'enrich/source/platformatic-group.ts',
    'enrich/source/platformatic-link.ts',
    'enrich/source/platformatic-log.ts',
  ],
  kafkajs: [
    'bench/kafka/gate.ts',
    'connectors/kafka-admin.ts',
    // Transactions: a replay and its marks are there together or not at all.
    'enrich/source/kafkajs-producer.ts',
    'generate/kafka-producer.ts',
    'verify/topic-reader.ts',
  ],
  pg: ['connectors/source-client.ts', 'generate/postgres.ts', 'stack/postgres/server.ts'],
  'prom-client': ['enrich/metrics.ts'],
  yaml: ['configuration/yaml-section.ts', 'configuration/yaml-text.ts', 'bench/pipeline-file.ts'],
};

/** Where each of these may be read; everywhere else it is passed in. */
const SOLE_READERS: [RegExp, readonly string[]][] = [
  [/\bMath\.random\b/, ['cli/environment.ts', 'catalog/rest/transport.ts', 'stack/', 'bench/']],
  [/\bconsole\.\w+\(/, ['cli/terminal.ts', 'stack/', 'bench/']],
  [/\bprocess\.env\b/, ['cli/environment.ts', 'stack/', 'bench/']],
];

type SourceFile = { path: string; text: string };

const sources: SourceFile[] = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'],
  { encoding: 'utf8' },
)
  .split('\n')
  .filter((path) => path !== '' && existsSync(path))
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }));

const product = sources.filter(({ path }) => (FLOORS[path.split('/')[0] ?? ''] ?? null) !== null);

function importsOf({ text }: SourceFile): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

/** As `importsOf`, without imports of types alone, which leave nothing at run time. */
function valuesImported({ path, text }: SourceFile): string[] {
  return importsOf({ path, text: text.replaceAll(/import type [^;]+;/g, '') });
}

function floorOf(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('@iceberg-js/rest-client-shim/')) return 'catalog';
  if (!specifier.startsWith('.')) return undefined;
  return normalize(join(dirname(path), specifier)).split('/')[0];
}

describe('the floors', () => {
  it('finds the source files at all', () => {
    expect(product.length).toBeGreaterThan(50);
  });

  it('hold: each file imports only from its own floor and those below it', () => {
    const broken = product.flatMap((file) => {
      const own = file.path.split('/')[0] ?? '';
      const allowed = [own, ...(FLOORS[own] ?? [])];
      return importsOf(file).flatMap((specifier) => {
        const floor = floorOf(file.path, specifier);
        return floor === undefined || allowed.includes(floor)
          ? []
          : [`${file.path} -> ${specifier}`];
      });
    });
    expect(broken).toEqual([]);
  });

  it('keep third-party clients in the files that adapt them', () => {
    const found = product.flatMap((file) =>
      valuesImported(file)
        .filter((specifier) => specifier in SOLE_IMPORTERS)
        .map((specifier) => `${specifier} in ${file.path}`),
    );
    const listed = Object.entries(SOLE_IMPORTERS).flatMap(([specifier, files]) =>
      files.map((path) => `${specifier} in ${path}`),
    );
    expect([...new Set(found)].toSorted()).toEqual(listed.toSorted());
  });

  it('pass in chance, environment and terminal', () => {
    const broken = product.flatMap(({ path, text }) =>
      SOLE_READERS.flatMap(([pattern, allowed]) =>
        pattern.test(text) && !allowed.some((prefix) => path.startsWith(prefix))
          ? [`${path}: ${pattern.source}`]
          : [],
      ),
    );
    expect(broken).toEqual([]);
  });
});

describe('every source file', () => {
  it('stays under 500 lines', () => {
    const long = sources.filter(({ text }) => text.split('\n').length > 500);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  it('is neither a barrel nor a drawer', () => {
    const names = /(^|\/)(index|utils?|helpers?|manager|data|info)\.ts$/;
    expect(sources.filter(({ path }) => names.test(path)).map(({ path }) => path)).toEqual([]);
  });
});

function cites(text: string, number: string): boolean {
  return new RegExp(`INVARIANTS\\.md[^\\n]*\\b${number}\\b`).test(text);
}

describe('INVARIANTS.md', () => {
  it('is cited, number by number, by code and by a test', () => {
    const numbers = [...readFileSync('INVARIANTS.md', 'utf8').matchAll(/^(\d+)\. /gm)].map(
      (match) => match[1] ?? '',
    );
    const tests = sources.filter(({ path }) => path.startsWith('test/'));
    const missing = numbers.flatMap((number) => [
      ...(product.some(({ text }) => cites(text, number)) ? [] : [`${number}: no code`]),
      ...(tests.some(({ text }) => cites(text, number)) ? [] : [`${number}: no test`]),
    ]);
    expect(numbers.length).toBeGreaterThanOrEqual(13);
    expect(missing).toEqual([]);
  });
});
