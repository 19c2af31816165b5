import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadContract } from '../../schemas/load-contracts.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { endpoints } from '../stack/endpoints.ts';
import { runCli } from './run-cli.ts';
import type { CliResult } from './run-cli.ts';

const prefix = `check_${process.pid}_${Date.now()}`;
const registry = openRegistry({ url: endpoints.registryUrl });
const stream = `${prefix}.clicks-value`;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-check-'));
  await cp('schemas', directory, { recursive: true });
  const pipeline = (await readFile('pipeline.yaml', 'utf8'))
    .replaceAll(/^( +topic:) (\S+)$/gm, `$1 ${prefix}.$2`)
    .replace('name: lake.clicks', `name: lake.${prefix}`);
  await writeFile(join(directory, 'pipeline.yaml'), pipeline);
  const file = join(directory, 'click.avsc');
  const optional = /("name": "duration_ms",\s+"type": )\["null", "int"\],(\s+"default": )null/;
  await writeFile(file, (await readFile(file, 'utf8')).replace(optional, '$1"int",$2 0'));
  const { avroSchema } = await loadContract(directory, 'click');
  const fields = avroSchema.fields.filter(({ name }) => name !== 'duration_ms');
  await registry.register(stream, { ...avroSchema, fields });
  await registry.register(stream, avroSchema);
});
afterAll(() => rm(directory, { recursive: true }));

const check = (...args: string[]): Promise<CliResult> =>
  runCli(
    [
      '--config',
      join(directory, 'pipeline.yaml'),
      '--contracts',
      directory,
      'contract',
      'check',
      ...args,
    ],
    { SCHEMA_REGISTRY_URL: endpoints.registryUrl, CATALOG_URI: endpoints.catalogUri },
  );

async function withoutDefault<T>(action: () => Promise<T>): Promise<T> {
  const file = join(directory, 'click.avsc');
  const text = await readFile(file, 'utf8');
  const changed = text.replace(/("name": "duration_ms",\s+"type": "int",\s+)"default":\s+0,/, '$1');
  expect(changed).not.toBe(text);
  await writeFile(file, changed);
  try {
    return await action();
  } finally {
    await writeFile(file, text);
  }
}

describe('contract check against a running registry', () => {
  it('takes the subject’s level, and what the registry then refuses is what it tells', async () => {
    await registry.setCompatibility(stream, 'BACKWARD_TRANSITIVE');
    const { code, stdout } = await withoutDefault(() => check());
    expect(stdout).toMatch(/click \(stream .*\) against .*clicks-value, BACKWARD_TRANSITIVE\n/);
    expect(stdout).toMatch(/breaks old data \(version 1\): duration_ms is new and has no default/);
    expect(code).toBe(1);
    const contract = await withoutDefault(() => loadContract(directory, 'click'));
    await expect(registry.register(stream, contract.avroSchema)).rejects.toMatchObject({
      context: { status: 409 },
    });
  });

  it('holds to the newest version where the level is not transitive', async () => {
    await registry.setCompatibility(stream, 'BACKWARD');
    const { code, stdout } = await withoutDefault(() => check());
    expect(stdout).toMatch(/against .*clicks-value, BACKWARD: ok/);
    expect(code).toBe(0);
  });

  it('holds a dimension against the row that Debezium registered', async () => {
    const golden = JSON.parse(
      await readFile('test/connectors/golden/schemas.json', 'utf8'),
    ) as Readonly<Record<string, AvroObject>>;
    const users = golden['12'] as AvroObject;
    await registry.register(`${prefix}.app.public.users-value`, users);
    const { code, stdout } = await check();
    expect(code).toBe(1);
    for (const name of ['birth_year', 'signup_date']) {
      expect(stdout).toMatch(
        new RegExp(`breaks the table .*${name} .*column user_${name} stays null`),
      );
    }
    expect(stdout).not.toMatch(/user_(name|country|tier) /);
    expect(stdout).toMatch(/device \(dimension devices\) against .*: there is no older one/);
    expect(stdout).toMatch(/\n2 breaking changes\n$/);
  });
});
