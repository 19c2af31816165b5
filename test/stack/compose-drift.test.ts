import { access, readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Command, componentNames, components } from '../../stack/components.ts';
import { readEnvFile } from '../../stack/env-file.ts';
import { readInstance } from '../../stack/instance.ts';
import { embeddedVersion } from '../../stack/postgres/find.ts';
import { portDefaults, type PortName, portVariable } from '../../stack/ports.ts';
import { type ComposeService, readCompose, repository } from './compose-file.ts';
import { readEndpoints } from './endpoints.ts';

const instance = readInstance({});
const host = { instance, jdk: '/jdk', postgres: { binaries: '/postgres/bin' }, env: {} };

/** Services that only containers need. */
const ours = ['volumes', 'apply', 'tributary', 'generator'];

let services: Readonly<Record<string, ComposeService>>;
let commands: ReadonlyMap<string, Command>;

beforeAll(async () => {
  services = await readCompose();
  const pairs = components.map(async (component) => {
    return [component.name, await component.command(host)] as const;
  });
  commands = new Map(await Promise.all(pairs));
});

function service(name: string): ComposeService {
  const found = services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service '${name}'`);
  return found;
}

function command(name: string): Command {
  const found = commands.get(name);
  if (found === undefined) throw new Error(`the launcher has no component '${name}'`);
  return found;
}

async function composeEnvironment(name: string): Promise<Record<string, string>> {
  const { environment = {}, env_file: file } = service(name);
  const shared = file === undefined ? {} : await readEnvFile(join(repository, file));
  return { ...shared, ...environment };
}

/** The repository's files and folders that a service mounts or reads its environment from. */
function sharedPaths(name: string): string[] {
  const { volumes = [], env_file: file } = service(name);
  const mounted = volumes
    .filter((volume) => volume.startsWith('./'))
    .map((volume) => volume.split(':')[0] ?? '');
  return [...mounted, ...(file === undefined ? [] : [file])];
}

/** The paths below `stack/` that the native command names, as docker-compose.yml would write them. */
function nativePaths({ args, env }: Command): string[] {
  const texts = [...args, ...Object.values(env)];
  return texts.flatMap((text) => {
    const start = text.indexOf(`${instance.sources}/`);
    return start < 0 ? [] : [`./${relative(repository, text.slice(start))}`];
  });
}

test('both have the same components', () => {
  const composed = Object.keys(services).filter((name) => !ours.includes(name));
  expect(composed.toSorted()).toEqual([...componentNames].toSorted());
});

describe('versions', () => {
  test.each([
    ['kafka', 'kafka.version'],
    ['connect', 'debezium.version'],
    ['registry', 'apicurio.version'],
    ['s3', 's3proxy.version'],
    ['catalog', 'iceberg.version'],
    ['trino', 'trino.version'],
  ])('the image of %s has the %s of stack/pom.xml', async (name, property) => {
    const pom = await readFile(join(instance.sources, 'pom.xml'), 'utf8');
    const version = new RegExp(`<${property}>(.+)</${property}>`).exec(pom)?.[1];
    expect(service(name).image.split(':')[1]).toBe(version);
  });

  test('the image of postgres has the version that the launcher fetches', () => {
    const tag = service('postgres').image.split(':')[1] ?? '';
    expect(tag.split('-')[0]).toBe(embeddedVersion.split('.').slice(0, 2).join('.'));
  });

  test('no image floats', () => {
    const images = Object.values(services).map(({ image }) => image);
    expect(images.filter((image) => !/:\d|^tributary:local$/.test(image))).toEqual([]);
  });

  test('the image of tributary has the Node that package-lock.json pins', async () => {
    const manifest = await readFile(join(repository, 'package.json'), 'utf8');
    const { optionalDependencies } = JSON.parse(manifest) as {
      optionalDependencies: Record<string, string>;
    };
    const dockerfile = await readFile(join(repository, 'Dockerfile'), 'utf8');
    const bases = [...dockerfile.matchAll(/^FROM node:([\d.]+)-/gm)].map((match) => match[1]);
    expect(bases).toHaveLength(2);
    expect(new Set(bases)).toEqual(new Set(Object.values(optionalDependencies)));
  });
});

describe('configuration', () => {
  test.each(componentNames)('%s reads the same files in both', async (name) => {
    const paths = nativePaths(command(name));
    if (name === 'postgres') paths.push('./stack/postgres/init.sql');
    if (name === 'registry' || name === 'catalog') paths.push(`./stack/${name}/${name}.env`);
    expect(paths.length).toBeGreaterThan(0);
    expect(sharedPaths(name).toSorted()).toEqual(paths.toSorted());
  });

  test.each(componentNames)('%s takes the same variables in both', async (name) => {
    const composed = Object.keys(await composeEnvironment(name));
    const native = Object.keys(command(name).env).filter(
      // Inside a container the management port is nobody else's.
      (variable) => !variable.startsWith('QUARKUS_MANAGEMENT_'),
    );
    expect(composed).toEqual(expect.arrayContaining(native));
  });

  test.each(['registry', 'catalog', 'trino'])(
    'a variable of %s that is no address has the same value in both',
    async (name) => {
      const native = Object.entries(command(name).env);
      const plain = native.filter(([, value]) => !/:|^\/|^\d/.test(value));
      expect(plain.length).toBeGreaterThan(1);
      expect(await composeEnvironment(name)).toMatchObject(Object.fromEntries(plain));
    },
  );

  test.each(componentNames)('every variable that a file of %s asks for is given', async (name) => {
    const texts = await Promise.all(
      sharedPaths(name).map((path) => readAll(join(repository, path))),
    );
    const asked = [...texts.join('\n').matchAll(/^[^#\n]*\$\{(?:env|ENV):(\w+)\}/gm)];
    const variables = asked.map((match) => match[1]);
    expect(Object.keys(command(name).env)).toEqual(expect.arrayContaining(variables));
    expect(Object.keys(await composeEnvironment(name))).toEqual(expect.arrayContaining(variables));
  });

  test('everything that is mounted exists', async () => {
    const paths = Object.keys(services).flatMap(sharedPaths);
    expect(paths.length).toBeGreaterThan(10);
    await Promise.all(paths.map((path) => access(join(repository, path))));
  });

  test('one pair of S3 credentials throughout', async () => {
    const properties = await readFile(join(instance.sources, 's3/s3proxy.properties'), 'utf8');
    const { s3AccessKeyId, s3SecretAccessKey } = readEndpoints({});
    expect(properties).toContain(`s3proxy.identity=${s3AccessKeyId}\n`);
    expect(properties).toContain(`s3proxy.credential=${s3SecretAccessKey}\n`);
    for (const env of [command('trino').env, await composeEnvironment('trino')]) {
      expect(env['S3_ACCESS_KEY_ID']).toBe(s3AccessKeyId);
      expect(env['S3_SECRET_ACCESS_KEY']).toBe(s3SecretAccessKey);
    }
  });
});

describe('ports', () => {
  test('a published port is on loopback, with the default and the variable of the launcher', () => {
    for (const name of componentNames) {
      const port = portDefaults[name as PortName];
      const [published, ...others] = service(name).ports ?? [];
      expect(others).toEqual([]);
      expect(published).toContain(`127.0.0.1:\${${portVariable(name)}:-${port}}:`);
    }
  });

  test('nothing else is published but the pipeline’s endpoints, on loopback', () => {
    const published = ours.flatMap((name) => service(name).ports ?? []);
    expect(published).toEqual(['127.0.0.1:${HTTP_PORT:-18099}:18099']);
  });

  test('the pipeline listens where its published port and its probe look', async () => {
    const text = await readFile(join(repository, 'pipeline.yaml'), 'utf8');
    expect(text).toContain('port: ${HTTP_PORT:-18099}');
    expect(text).toContain('host: ${HTTP_HOST:-127.0.0.1}');
    expect(await composeEnvironment('tributary')).toMatchObject({ HTTP_HOST: '0.0.0.0' });
  });
});

test.each([
  ['apply', 'connectors/connectors.yaml'],
  ['apply', 'pipeline.yaml'],
  ['tributary', 'pipeline.yaml'],
  ['generator', 'pipeline.yaml'],
])('%s is told every address that %s takes from the environment', async (name, file) => {
  const text = await readFile(join(repository, file), 'utf8');
  const found = [...text.matchAll(/\$\{(\w+):-(?:[^}]*127\.0\.0\.1|15432)/g)];
  expect(found.length).toBeGreaterThan(3);
  const addresses = found.map((match) => match[1]);
  expect(Object.keys(await composeEnvironment(name))).toEqual(expect.arrayContaining(addresses));
});

async function readAll(path: string): Promise<string> {
  if (!(await stat(path)).isDirectory()) return readFile(path, 'utf8');
  const names = await readdir(path);
  return (await Promise.all(names.map((name) => readFile(join(path, name), 'utf8')))).join('\n');
}
