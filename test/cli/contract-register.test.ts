import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { runCli } from './run-cli.ts';
import type { CliResult } from './run-cli.ts';

vi.setConfig({ testTimeout: 60_000 });

const SUBJECT = 'clicks-value';
const CATALOG = '/catalog';
const CATALOG_CONFIG = '{"defaults":{},"overrides":{}}';
const NO_TABLE = '{"error":{"message":"no","type":"NoSuchTableException","code":404}}';
const click = JSON.parse(await readFile('schemas/click.avsc', 'utf8')) as {
  fields: { name: string }[];
};
/** The contract has an optional field more: read by old readers, and it reads what they wrote. */
const older = { ...click, fields: click.fields.filter(({ name }) => name !== 'duration_ms') };
/** The contract lacks an optional field, for which old readers have no default: BACKWARD alone. */
const larger = { ...click, fields: [...click.fields, { name: 'note', type: ['null', 'string'] }] };

/** What a registry keeps, and how it fails: no real one can be made to fail at a request. */
let versions: object[];
let level: string;
let told: string[];
let failAt: (request: string) => number | undefined;
let server: Server;

beforeEach(async () => {
  [versions, level, told, failAt] = [[older], 'BACKWARD', [], () => undefined];
  server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const asked = `${request.method} ${request.url}`;
  if (asked.startsWith(`GET ${CATALOG}/`)) {
    const isConfig = asked.includes('/v1/config');
    return void response.writeHead(isConfig ? 200 : 404).end(isConfig ? CATALOG_CONFIG : NO_TABLE);
  }
  if (request.method !== 'GET') told.push(asked);
  const status = failAt(asked);
  if (status !== undefined) return void response.writeHead(status).end('{"message":"no"}');
  const found = respond(asked, body);
  if (found === undefined) response.writeHead(404).end('{"error_code":40403}');
  else response.setHeader('content-type', 'application/json').end(JSON.stringify(found));
}

function version(at: number): object {
  return { id: at + 1, version: at + 1, schema: JSON.stringify(versions[at]) };
}

function respond(asked: string, body: string): unknown {
  const sent = body === '' ? {} : (JSON.parse(body) as { schema: string; compatibility: string });
  switch (asked) {
    case `GET /config/${SUBJECT}`:
      return { compatibilityLevel: level };
    case `PUT /config/${SUBJECT}`:
      level = (sent as { compatibility: string }).compatibility;
      return { compatibility: level };
    case `GET /subjects/${SUBJECT}/versions/latest`:
      return version(versions.length - 1);
    case `POST /subjects/${SUBJECT}`: {
      const { schema } = sent as { schema: string };
      const at = versions.findIndex((known) => JSON.stringify(known) === schema);
      return at < 0 ? undefined : version(at);
    }
    case `POST /subjects/${SUBJECT}/versions`:
      versions.push(JSON.parse((sent as { schema: string }).schema) as object);
      return { id: versions.length };
    default:
      throw new Error(`assert: nobody asks ${asked}`);
  }
}

/** The catalog is the same server, which has no table. */
function register(...args: string[]): Promise<CliResult> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { SCHEMA_REGISTRY_URL: url, CATALOG_URI: `${url}${CATALOG}` };
  return runCli(['contract', 'register', ...args], environment);
}

const REGISTER = `POST /subjects/${SUBJECT}/versions`;
const SET_LEVEL = `PUT /config/${SUBJECT}`;
const changes = () => told.filter((asked) => asked === REGISTER || asked === SET_LEVEL);

it('the level is set once the contract is registered', async () => {
  const { code, stdout } = await register('--mode', 'FULL');
  expect(stdout).toMatch(/held to FULL from now on, instead of BACKWARD\n.*registered as id 2/);
  expect([code, level, changes()]).toEqual([0, 'FULL', [REGISTER, SET_LEVEL]]);
});

it('a refusal of the registry ends with 1, in its words, and leaves the level as it was', async () => {
  failAt = (asked) => (asked === REGISTER ? 409 : undefined);
  const { code, stdout, stderr } = await register('--mode', 'FULL');
  expect(stdout).toMatch(/the schema registry did not register clicks-value: .*no/);
  expect([code, stderr, level, versions.length]).toEqual([1, '', 'BACKWARD', 1]);
  expect(changes()).toEqual([REGISTER]);
});

it('what ended between the two is completed by the same command', async () => {
  failAt = (asked) => (asked === SET_LEVEL ? 500 : undefined);
  expect((await register('--mode', 'FULL')).code).toBe(78);
  expect([level, versions.length]).toEqual(['BACKWARD', 2]);
  failAt = () => undefined;
  const { code, stdout } = await register('--mode', 'FULL');
  expect(stdout).toMatch(/held to FULL from now on[^]*unchanged, id 2 version 2\n$/);
  expect([code, level, versions.length]).toEqual([0, 'FULL', 2]);
});

it('a level that forbids the contract gives way first, and comes back where that is refused all the same', async () => {
  [versions, level] = [[larger], 'FULL'];
  failAt = (asked) => (asked === REGISTER ? 409 : undefined);
  expect((await register('--mode', 'BACKWARD')).code).toBe(1);
  expect([level, changes()]).toEqual(['FULL', [SET_LEVEL, REGISTER, SET_LEVEL]]);
  failAt = () => undefined;
  expect((await register('--mode', 'BACKWARD')).code).toBe(0);
  expect([level, versions.length]).toEqual(['BACKWARD', 2]);
});

it('credentials that the registry does not take end with 78', async () => {
  failAt = () => 401;
  const { code, stderr } = await register();
  expect(stderr).toContain('check registry.username and password');
  expect(code).toBe(78);
});

it('a registry that is away ends with 78, since 1 is a verdict on the contract', async () => {
  failAt = () => 503;
  const { code, stdout, stderr } = await register();
  expect(stderr).toMatch(/the schema registry answered 503 .*; start it, or mend its address in/);
  expect([code, stdout]).toEqual([78, '']);
});

it('a catalog that is away ends with 78, and nothing is registered', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { SCHEMA_REGISTRY_URL: url, CATALOG_URI: 'http://127.0.0.1:1' };
  const { code, stderr } = await runCli(['contract', 'register'], environment);
  expect(stderr).toMatch(/127.0.0.1:1\b.*; start it, or mend its address in/);
  expect([code, changes()]).toEqual([78, []]);
});

it('a subject without a level keeps none, and the contract is held to BACKWARD', async () => {
  [versions, level] = [[older], 'NONE'];
  const { code, stdout } = await register();
  expect(stdout).toBe('clicks-value: registered as id 2 version 2\n');
  expect([code, level]).toEqual([0, 'NONE']);
  versions = [{ ...click, fields: click.fields.filter(({ name }) => name !== 'user_id') }];
  expect(await register()).toMatchObject({ code: 1 });
});
