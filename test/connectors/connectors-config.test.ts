import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConnectorsConfig } from '../../connectors/connectors-config.ts';
import { debeziumPostgresConfig } from '../../connectors/postgres.ts';
import { planTopics } from '../../connectors/topics.ts';

const file = join(import.meta.dirname, '../../connectors/connectors.yaml');
const text = readFileSync(file, 'utf8');
const none = (): string => {
  throw new Error('no secret file expected');
};
const read = (
  content: string,
  environment: Record<string, string> = {},
  readSecretFile: (path: string) => string = none,
) => parseConnectorsConfig(content, { file: 'mine.yaml', environment, readSecretFile });

const lineOf = (part: string): number => text.slice(0, text.indexOf(part)).split('\n').length;

describe('connectors.yaml', () => {
  it('in git is valid and needs no environment', () => {
    const config = read(text);
    expect(config.tables).toEqual(['public.users', 'public.devices', 'public.urls']);
    expect(config.database).toMatchObject({ host: '127.0.0.1', port: 15432, user: 'cdc' });
    expect(config.converter.kind).toBe('tributary');
  });

  it('takes values from the environment and secrets from files', () => {
    const environment = { DATABASE_HOST: 'postgres', DATABASE_PASSWORD_FILE: '/run/secret' };
    const { database } = read(text, environment, (path) => `from ${path}\n`);
    expect(database.host).toBe('postgres');
    expect(database.password.reveal()).toBe('from /run/secret');
    expect(JSON.stringify(database)).not.toContain('secret');
  });

  it.each([
    [
      'partitions: 12',
      'partitions: many',
      `mine.yaml:${lineOf('partitions: 12')}:15 topics.partitions: expected an integer`,
    ],
    ['partitions: 12', 'partitiones: 12', 'did you mean "partitions"'],
    [
      'connector: app',
      'conector: app',
      'conector: unknown key "conector"; did you mean "connector"',
    ],
    ['public.urls]', 'urls]', 'tables: expected schema.table, got "urls"'],
    ['tables: [', 'tables: [[', 'mine.yaml:'],
    [':-cdc}', '}', 'environment variable DATABASE_PASSWORD is not set'],
    ['http://127.0.0.1:18083', 'http://me:hush@connect', 'expected no user or password'],
  ])('with %j turned into %j names what is wrong', (from, to, message) => {
    expect(() => read(text.replaceAll(from, to))).toThrow(message);
  });
});

describe('the connector’s configuration', () => {
  const config = read(text);
  const connector = debeziumPostgresConfig(config);

  it('reads through an existing publication and skips truncates', () => {
    expect(connector).toMatchObject({
      'publication.autocreate.mode': 'disabled',
      'publication.name': 'tributary_pub',
      'slot.name': 'tributary_slot',
      'skipped.operations': 't',
      'tombstones.on.delete': 'true',
      'table.include.list': 'public\\.users,public\\.devices,public\\.urls',
      'notification.sink.topic.name': '__debezium-notifications.app',
      'key.converter': 'tributary.connect.AvroConverter',
    });
  });

  it('names Apicurio’s converter where that is installed', () => {
    const apicurio = debeziumPostgresConfig({
      ...config,
      converter: { kind: 'apicurio', registryUrl: 'http://registry/apis/registry/v3' },
    });
    expect(apicurio).toMatchObject({
      'value.converter': 'io.apicurio.registry.utils.converter.AvroConverter',
      'value.converter.apicurio.registry.url': 'http://registry/apis/registry/v3',
    });
    expect(Object.keys(apicurio)).not.toContain('value.converter.schema.registry.url');
  });

  it('gives a new table its topic by its name alone', () => {
    const tables = [...config.tables, 'public.orders'];
    const plans = planTopics({ ...config, tables });
    expect(plans.find(({ topic }) => topic === 'app.public.orders')).toMatchObject({
      partitions: 12,
      settings: { 'cleanup.policy': 'compact', 'delete.retention.ms': '604800000' },
    });
  });
});
