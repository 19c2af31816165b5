import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatIssues } from '../../../configuration/config-issue.ts';
import { parsePipelineFile } from '../../../enrich/config/load-pipeline.ts';
import type { PipelineConfig } from '../../../enrich/config/pipeline-config.ts';

const shipped = readFileSync('pipeline.yaml', 'utf8');
const noFiles = (path: string): string => {
  throw new Error(`no such file: ${path}`);
};

function parse(text: string, environment: Record<string, string> = {}, readFile = noFiles) {
  return parsePipelineFile(text, environment, readFile);
}

function configOf(text: string, environment: Record<string, string> = {}): PipelineConfig {
  const parsed = parse(text, environment);
  if (parsed.kind === 'invalid') throw new Error(formatIssues('pipeline.yaml', parsed.issues));
  return parsed.config;
}

function complaints(text: string, environment: Record<string, string> = {}): string[] {
  const parsed = parse(text, environment);
  return parsed.kind === 'valid' ? [] : formatIssues('pipeline.yaml', parsed.issues).split('\n');
}

/** The kinds that the shipped file would allow with another policy and list. */
function allowed(policy: string, list: string): string[] {
  const key = `policy: ${policy}\n    allow: ${list}`;
  const text = shipped.replace(/policy: evolve\n(.*#.*\n)*.*allow: .*/, key);
  return [...configOf(text).stream.evolution.allow];
}

function withSizes(batch: string, commit: string): string {
  return shipped
    .replace('# batch_size_max: 64MiB', `batch_size_max: ${batch}`)
    .replace('size: 256MiB', `size: ${commit}`);
}

describe('pipeline.yaml', () => {
  it('as shipped is valid and reads as documented', () => {
    const config = configOf(shipped);
    expect(config.dimensions.map(({ name, joinKey }) => [name, joinKey])).toEqual([
      ['users', 'user_id'],
      ['devices', 'device_id'],
      ['urls', 'url'],
    ]);
    expect(config.commit).toEqual({
      intervalMs: 30_000,
      rowsMax: 500_000,
      bytesMax: 256 * 1024 ** 2,
    });
    expect(config.table.namespace).toEqual(['lake']);
  });

  it('lets a table follow every change where it says evolve, and none where it says nothing', () => {
    const { stream, dimensions } = configOf(shipped.replace(/ {4}allow: .*\n/, ''));
    expect(stream.evolution.policy).toBe('evolve');
    expect([...stream.evolution.allow]).toEqual([
      'add-field',
      'widen-type',
      'make-optional',
      'drop-field',
      'rename-field',
    ]);
    expect(dimensions[0]?.evolution).toEqual({ policy: 'ignore', allow: new Set() });
  });

  it('takes the allowed changes as listed, whatever the policy', () => {
    expect(allowed('evolve', '[add-field]')).toEqual(['add-field']);
    expect(allowed('evolve', '[]')).toEqual([]);
    expect(allowed('fail', '[widen-type]')).toEqual(['widen-type']);
    expect(allowed('pause', '[]')).toEqual([]);
  });

  it('tells what was meant by a policy or a kind of change that it does not know', () => {
    expect(complaints(shipped.replace('policy: evolve', 'policy: evolves'))).toEqual([
      expect.stringMatching(/stream\.evolution\.policy: .*did you mean "evolve"/),
    ]);
    const kinds = complaints(shipped.replace(/allow: .*/, 'allow: [add-fields, change-type]'));
    expect(kinds).toEqual([
      expect.stringMatching(/stream\.evolution\.allow: .*"add-fields"; did you mean "add-field"/),
      expect.stringMatching(/stream\.evolution\.allow: .*got "change-type"/),
    ]);
    const keys = complaints(shipped.replace('policy: evolve', 'polcy: evolve'));
    expect(keys).toEqual([expect.stringMatching(/did you mean "policy"/)]);
  });

  it('has an example of each key that it leaves out, and every one of them works', () => {
    const example = /^( *)# ( *[a-z0-9_.-]+:( .*)?)$/;
    const lines = shipped.split('\n').map((line) => line.replace(example, '$1$2'));
    const environment = {
      KAFKA_PASSWORD: 'k',
      SCHEMA_REGISTRY_PASSWORD: 'r',
      CATALOG_TOKEN: 't',
      CATALOG_CLIENT_SECRET: 's',
    };
    const { kafka, registry, catalog, table } = configOf(lines.join('\n'), environment);
    expect(kafka).toMatchObject({ tls: true, sasl: { mechanism: 'SCRAM-SHA-512' } });
    expect(kafka.sasl?.password.reveal()).toBe('k');
    expect(registry.password?.reveal()).toBe('r');
    expect(catalog.token?.reveal()).toBe('t');
    expect(catalog.oauth2?.clientSecret.reveal()).toBe('s');
    expect(catalog).toMatchObject({ warehouse: 'lake', oauth2: { scope: 'PRINCIPAL_ROLE:ALL' } });
    expect(table.location).toBe('s3://lake/clicks');
    expect(table.properties).toEqual({ 'write.metadata.previous-versions-max': '20' });
    expect(shipped.split('\n').filter((line) => example.test(line))).toHaveLength(19);
  });

  it('names the line of an unknown key and suggests the right one', () => {
    const text = shipped.replace('  topic: clicks\n', '  topik: clicks\n');
    const line = text.split('\n').indexOf('  topik: clicks') + 1;
    expect(complaints(text)).toContain(
      `pipeline.yaml:${line}:3 stream.topik: unknown key "topik"; did you mean "topic"?`,
    );
  });

  it('reports every mistake at once, in the order of the lines', () => {
    const text = shipped
      .replace('normaliser: url', 'normaliser: ulr')
      .replace('interval: ${COMMIT_INTERVAL:-30s}', 'interval: soon')
      .replace('port: ${HTTP_PORT:-18099}', 'port: 99999');
    const found = complaints(text);
    expect(found).toHaveLength(3);
    expect(found[0]).toMatch(/normaliser: expected one of .* did you mean "url"\?$/);
    expect(found[1]).toMatch(/commit.interval: expected a duration/);
    expect(found[2]).toMatch(/http.port: expected an integer from 0 to 65535/);
  });

  it('takes values from the environment, from files it names, and else the default', () => {
    expect(configOf(shipped, { KAFKA_BROKERS: 'a:1,b:2' }).kafka.brokers).toEqual(['a:1', 'b:2']);
    const parsed = parse(shipped, { S3_SECRET_ACCESS_KEY_FILE: '/run/secret' }, () => 'hush\n');
    expect(parsed.kind === 'valid' && parsed.config.storage.secretAccessKey?.reveal()).toBe('hush');
    expect(configOf(shipped).kafka.brokers).toEqual(['127.0.0.1:19092']);
  });

  it('says which variable is missing and how to set it', () => {
    const text = shipped.replace('${CATALOG_URI:-http://127.0.0.1:18181}', '${CATALOG_URI}');
    expect(complaints(text).join('\n')).toContain(
      'environment variable CATALOG_URI is not set; set it, or CATALOG_URI_FILE',
    );
  });

  it('never shows a secret', () => {
    const config = configOf(shipped, { S3_SECRET_ACCESS_KEY: 'hush-hush' });
    expect(JSON.stringify(config)).not.toContain('hush-hush');
    expect(`${config.storage.secretAccessKey?.toString()}`).toBe('***');
  });

  it('refuses a file that is no YAML with its line', () => {
    expect(complaints('pipeline: [unclosed\n')[0]).toMatch(/^pipeline\.yaml:\d+:\d+ /);
    expect(complaints('just text')).toEqual([
      'pipeline.yaml:1:1 expected a mapping at the top of the file',
    ]);
  });

  it('says of a syntax error and of an empty file nothing else', () => {
    const broken = complaints(shipped.replace("brokers: ['", "brokers: ['['"));
    expect(broken.join('\n')).not.toContain('missing key');
    expect(complaints('# nothing yet\n')).toEqual(['pipeline.yaml:1:1 the file is empty']);
  });

  it('takes brokers with spaces around the commas', () => {
    const { brokers } = configOf(shipped, { KAFKA_BROKERS: 'a:1, b:2 ,' }).kafka;
    expect(brokers).toEqual(['a:1', 'b:2']);
  });

  it.each([
    [
      'dead_letter: lake.clicks_dead_letter',
      'dead_letter: lake.clicks',
      /dead_letter: expected another/,
    ],
    ['size: 256MiB', 'size: 0MiB', /commit.size: expected from 1MiB/],
    ['${S3_ENDPOINT:-http://127.0.0.1:17070}', 'foo', /storage.endpoint: expected an http/],
    ['topic: clicks', "topic: ''", /stream.topic: expected a value, got an empty text/],
    ['registry:\n', 'registry:\n  username: me\n', /registry.username: expected password too/],
  ])('refuses %s turned into %j', (from, to, message) => {
    const found = complaints(shipped.replace(from, to));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it('refuses sizes of which one column could become longer than it can be', () => {
    expect(complaints(withSizes('512MiB', '512MiB'))).toEqual([]);
    expect(complaints(withSizes('1GiB', '512MiB'))).toEqual([
      expect.stringMatching(
        /kafka.batch_size_max: expected 1024MiB .* got 1024MiB and 512MiB: .* Lower kafka.batch_size_max or commit.size$/,
      ),
    ]);
    expect(complaints(withSizes('769MiB', '256MiB'))).toHaveLength(1);
    const tooLarge = complaints(withSizes('2GiB', '512MiB'));
    expect(tooLarge, 'what is wrong by itself is told once').toHaveLength(1);
  });

  it('refuses two dimensions of one name', () => {
    expect(complaints(shipped.replace('name: devices', 'name: users')).join('\n')).toContain(
      'dimension "users" is named twice',
    );
  });
});
