import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../cli/run-cli.ts';
import { findPython, odcs, runPython } from './python.ts';
import type { Python } from './python.ts';

let directory: string;
let python: Python;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-odcs-'));
  python = await findPython(odcs);
  if (python.kind === 'missing') process.stdout.write(`odcs: no validator: ${python.reason}\n`);
});
afterAll(() => rm(directory, { recursive: true }));

async function validated(text: string): Promise<unknown> {
  if (python.kind === 'missing') throw new Error('expected a Python');
  const file = join(directory, 'contract.odcs.yaml');
  await writeFile(file, text);
  return runPython(python.python, 'validate-odcs.py', [file]);
}

/** What `contract export` prints of contracts with a field of every sort of type beside the shipped ones. */
async function exported(): Promise<string> {
  const schemas = join(directory, 'schemas');
  await cp('schemas', schemas, { recursive: true });
  const click = JSON.parse(await readFile(join(schemas, 'click.avsc'), 'utf8')) as {
    fields: unknown[];
  };
  const record = { type: 'record', name: 'Place', fields: [{ name: 'city', type: 'string' }] };
  const types = {
    place: ['null', record],
    tags: { type: 'array', items: 'string' },
    labels: { type: 'map', values: 'long' },
    kind: { type: 'enum', name: 'Kind', symbols: ['tap', 'view'] },
    hash: { type: 'fixed', name: 'Hash', size: 16 },
    ratio: 'float',
    seen: { type: 'int', logicalType: 'date' },
    daytime: { type: 'long', logicalType: 'time-micros' },
    local: { type: 'long', logicalType: 'local-timestamp-millis' },
    token: { type: 'string', logicalType: 'uuid' },
    price: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 },
  };
  click.fields.push(...Object.entries(types).map(([name, type]) => ({ name, type })));
  await writeFile(join(schemas, 'click.avsc'), JSON.stringify(click));
  const { code, stdout } = await runCli(['--contracts', schemas, 'contract', 'export']);
  expect(code).toBe(0);
  return stdout;
}

it('contract export is what the published JSON schema of the standard allows', async ({ skip }) => {
  if (python.kind === 'missing') skip(`no validator can be had here: ${python.reason}`);
  const text = await exported();
  expect(text).toContain('name: labels');
  expect(await validated(text)).toEqual({ version: 'v3.1.0', errors: [] });
});

it('the JSON schema refuses what is no contract', async ({ skip }) => {
  if (python.kind === 'missing') skip(`no validator can be had here: ${python.reason}`);
  const broken = (await exported()).replace('logicalType: timestamp\n', 'logicalType: moment\n');
  expect(await validated(broken)).toMatchObject({ errors: [expect.stringContaining('moment')] });
});
