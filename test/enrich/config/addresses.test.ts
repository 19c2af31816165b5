import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatIssues } from '../../../configuration/config-issue.ts';
import { parsePipelineFile } from '../../../enrich/config/load-pipeline.ts';

const shipped = readFileSync('pipeline.yaml', 'utf8');
const MIB = 1024 ** 2;

function parse(text: string, environment: Record<string, string> = {}) {
  const parsed = parsePipelineFile(text, environment, () => '');
  return parsed.kind === 'valid'
    ? { config: parsed.config, complaints: '' }
    : { config: undefined, complaints: formatIssues('pipeline.yaml', parsed.issues) };
}

const WITH_TOKEN_URI = shipped.replace(
  'storage:',
  '  oauth2:\n    client_id: a\n    client_secret: b\n    token_uri: ${TOKEN_URI}\nstorage:',
);

describe('an address with a user or a password in it', () => {
  it.each([
    ['CATALOG_URI', shipped, 'catalog.uri', 'catalog.token or catalog.oauth2'],
    ['SCHEMA_REGISTRY_URL', shipped, 'registry.url', 'registry.username and registry.password'],
    ['S3_ENDPOINT', shipped, 'storage.endpoint', 'storage.access_key_id'],
    ['TOKEN_URI', WITH_TOKEN_URI, 'catalog.oauth2.token_uri', 'client_id and client_secret'],
  ])(
    '%s is refused, not repeated, and the message names the right keys',
    (name, text, at, keys) => {
      for (const address of [
        'http://ann:hush@host:1/path',
        'https://hush@host',
        'ftp://a:hush@host',
      ]) {
        const { complaints } = parse(text, { [name]: address });
        expect(complaints).toContain(`${at}: expected no user or password in the address`);
        expect(complaints).toContain(keys);
        expect(complaints).not.toContain('hush');
      }
    },
  );

  it('an @ behind the host is no user', () => {
    const { config } = parse(shipped, { CATALOG_URI: 'https://host/iceberg/@main' });
    expect(config?.catalog.uri).toBe('https://host/iceberg/@main');
  });
});

describe('an address with a query, which paths are appended to', () => {
  it.each(['http://host/api?apikey=hush', 'http://host?hush', 'http://host/#hush', '?hush'])(
    '%s is refused and not repeated',
    (address) => {
      const { complaints } = parse(shipped, { SCHEMA_REGISTRY_URL: address });
      expect(complaints).toContain('registry.url: expected an address that ends before "?"');
      expect(complaints).toContain('registry.username and registry.password');
      expect(complaints).not.toContain('hush');
    },
  );
});

describe('keys that go together', () => {
  it.each([
    [
      'registry.username',
      '  url: ${SCHEMA_REGISTRY_URL',
      '  username: ann\n  url: ${SCHEMA_REGISTRY_URL',
    ],
    ['storage.access_key_id', '  secret_access_key:', '  #'],
  ])('%s alone has no effect, and is refused', (key, from, to) => {
    expect(parse(shipped.replace(from, to)).complaints).toContain(`${key}: expected `);
  });
});

const withSize = (size: string): string =>
  shipped.replace('  group: tributary-clicks', `  group: g\n  batch_size_max: ${size}`);

describe('kafka.batch_size_max', () => {
  it('is 64 MiB unless it is set', () => {
    expect(parse(shipped).config?.kafka.batchBytesMax).toBe(64 * MIB);
    expect(parse(withSize('200MiB')).config?.kafka.batchBytesMax).toBe(200 * MIB);
  });

  it.each(['1KiB', '2GiB'])('refuses %s', (size) => {
    expect(parse(withSize(size)).complaints).toContain('expected from 1MiB to 1GiB');
  });
});
