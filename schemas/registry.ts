import { SchemaRegistry, SchemaType, COMPATIBILITY } from '@kafkajs/confluent-schema-registry';
import type { AvroObject } from './contract.ts';
import { ContractError } from './error.ts';
import { createHttp, trimSlash } from './registry-http.ts';
import type { RegistryHttp, RegistryOptions } from './registry-http.ts';

export type CompatibilityLevel =
  | 'NONE'
  | 'BACKWARD'
  | 'BACKWARD_TRANSITIVE'
  | 'FORWARD'
  | 'FORWARD_TRANSITIVE'
  | 'FULL'
  | 'FULL_TRANSITIVE';

export type RegisteredSchema = { schemaId: number; version: number; avroSchema: AvroObject };

/**
 * A schema registry with Confluent's API, version 7. Every call retries faults of the network and the
 * server with growing waits. Errors: `unavailable` when those last; `config` for wrong credentials,
 * a schema that the registry refuses or that is incompatible with the subject's versions.
 */
export interface Registry {
  /** The Avro schema behind an id; `unknown` where the registry has none or it is not Avro. */
  schemaById(schemaId: number): Promise<AvroObject | 'unknown'>;
  /** Registers under the subject and returns its id; the same schema gives the same id again. */
  register(subject: string, avroSchema: AvroObject): Promise<RegisteredSchema>;
  /** The version of a subject that has this schema, by the registry's own judgement; undefined where none has. */
  find(subject: string, avroSchema: AvroObject): Promise<RegisteredSchema | undefined>;
  /** Newest version of a subject; undefined for an unknown subject. */
  latest(subject: string): Promise<RegisteredSchema | undefined>;
  /** All versions of a subject, the oldest first; empty for an unknown subject. */
  versions(subject: string): Promise<RegisteredSchema[]>;
  /** Level in force for a subject: its own, else the registry's. */
  compatibility(subject: string): Promise<CompatibilityLevel>;
  setCompatibility(subject: string, level: CompatibilityLevel): Promise<void>;
}

/**
 * Opens a registry; nothing is asked yet.
 *
 * @kafkajs/confluent-schema-registry registers and validates. Look-ups go over plain HTTP, since the
 * client's answer is a compiled type that has lost logical types and Connect's names, it reports an
 * unreachable host as status 400, and it cannot tell a missing schema from a wrong path.
 */
export function openRegistry(options: RegistryOptions): Registry {
  const http = createHttp(options);
  const client = createClient(options);
  const latest = (subject: string): Promise<RegisteredSchema | undefined> =>
    readVersion(http, `/subjects/${encodeURIComponent(subject)}/versions/latest`);
  const compatibility = (subject: string): Promise<CompatibilityLevel> =>
    readCompatibility(http, subject);
  return {
    schemaById: (schemaId) => readSchema(http, schemaId),
    find: (subject, avroSchema) => findVersion(http, subject, avroSchema),
    latest,
    versions: (subject) => readVersions(http, subject),
    compatibility,
    async register(subject, avroSchema) {
      const level = await compatibility(subject);
      const { id } = await http.retry(() => registerOnce(client, { subject, avroSchema, level }));
      const found = await findVersion(http, subject, avroSchema);
      if (found !== undefined) return { ...found, schemaId: id };
      throw new ContractError('config', `the schema registry lost what it registered: ${subject}`);
    },
    async setCompatibility(subject, level) {
      await http.send('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility: level });
    },
  };
}

function createClient(options: RegistryOptions): SchemaRegistry {
  const { url, username, password } = options;
  const auth =
    username === undefined ? {} : { auth: { username, password: password?.reveal() ?? '' } };
  // One attempt: `retry` around it also covers what the client does not retry.
  return new SchemaRegistry({ host: trimSlash(url), retry: { retries: 0 }, ...auth });
}

async function registerOnce(
  client: SchemaRegistry,
  of: { subject: string; avroSchema: AvroObject; level: CompatibilityLevel },
): Promise<{ id: number }> {
  try {
    return await client.register(
      { type: SchemaType.AVRO, schema: JSON.stringify(of.avroSchema) },
      { subject: of.subject, compatibility: COMPATIBILITY[of.level], updateConfig: false },
    );
  } catch (cause) {
    throw registerError(of.subject, cause);
  }
}

/** 400 is what the client makes of a failed connection, so it is not taken for a refusal. */
function registerError(subject: string, cause: unknown): ContractError {
  const { status, message } = cause as { status?: number; message: string };
  const refused = status === undefined || (status > 400 && status < 500 && status !== 429);
  return new ContractError(
    refused ? 'config' : 'unavailable',
    `the schema registry did not register ${subject}: ${message}`,
    { context: { subject, ...(status === undefined ? {} : { status }) }, cause },
  );
}

async function readSchema(http: RegistryHttp, schemaId: number): Promise<AvroObject | 'unknown'> {
  const body = await http.find(`/schemas/ids/${schemaId}`);
  if (body === undefined) return 'unknown';
  const { schema, schemaType = 'AVRO' } = body;
  return schemaType === 'AVRO' && typeof schema === 'string' ? parseSchema(schema) : 'unknown';
}

async function readVersion(
  http: RegistryHttp,
  path: string,
): Promise<RegisteredSchema | undefined> {
  const body = await http.find(path);
  if (body === undefined) return undefined;
  const { id, version, schema, schemaType = 'AVRO' } = body;
  if (schemaType !== 'AVRO') {
    const kind = String(schemaType);
    throw new ContractError('config', `${path} of the schema registry is ${kind}, not Avro`);
  }
  return {
    schemaId: Number(id),
    version: Number(version),
    avroSchema: parseSchema(String(schema)),
  };
}

async function readVersions(http: RegistryHttp, subject: string): Promise<RegisteredSchema[]> {
  const path = `/subjects/${encodeURIComponent(subject)}/versions`;
  const numbers: unknown = await http.find(path);
  const versions: RegisteredSchema[] = [];
  for (const number of Array.isArray(numbers) ? numbers : []) {
    const version = await readVersion(http, `${path}/${Number(number)}`);
    if (version !== undefined) versions.push(version);
  }
  return versions;
}

async function findVersion(
  http: RegistryHttp,
  subject: string,
  avroSchema: AvroObject,
): Promise<RegisteredSchema | undefined> {
  const body = await http.find(`/subjects/${encodeURIComponent(subject)}`, {
    schema: JSON.stringify(avroSchema),
  });
  if (body === undefined) return undefined;
  return { schemaId: Number(body['id']), version: Number(body['version']), avroSchema };
}

async function readCompatibility(http: RegistryHttp, subject: string): Promise<CompatibilityLevel> {
  const own = await http.find(`/config/${encodeURIComponent(subject)}`);
  const body = own ?? (await http.find('/config')) ?? {};
  const level = body['compatibilityLevel'];
  return typeof level === 'string' ? (level.toUpperCase() as CompatibilityLevel) : 'NONE';
}

function parseSchema(text: string): AvroObject {
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === 'string' ? { type: parsed } : (parsed as AvroObject);
}
