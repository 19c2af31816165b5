import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { writeDimensionTopics } from '../../generate/dimension-topic.ts';
import { openKafkaProducer } from '../../generate/kafka-producer.ts';
import { openRegistry } from '../../schemas/registry.ts';
import { kafkajsAccess } from '../enrich/source/kafka-harness.ts';
import { repository } from '../stack/compose-file.ts';
import { endpoints } from '../stack/endpoints.ts';
import { user, type SecuredBroker } from '../stack/secured-broker.ts';
import { asPipeline, freePort, startCommand } from './command.ts';
import type { Command, Environment, Finished, Pipeline } from './command.ts';

const dimensionSizes = { users: 500, devices: 500, urls: 200 } as const;
const seed = 7;
const commandMsMax = 60_000;

export type SecuredLake = Awaited<ReturnType<typeof openSecuredLake>>;

/**
 * A pipeline whose topics are on the secured broker and all else on the stack. Its dimensions were loaded without
 * PostgreSQL; what is done to it goes through the command line.
 */
export async function openSecuredLake(broker: SecuredBroker) {
  const name = `secured_${process.pid}_${Date.now() % 100_000}`;
  const directory = await mkdtemp(join(tmpdir(), 'secured-lake-'));
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, user.password);
  const pipelineFile = join(directory, 'pipeline.yaml');
  await writeFile(pipelineFile, await securedPipeline(name));
  await fillTopics(name, broker);
  const base: Environment = {
    KAFKA_BROKERS: broker.sasl,
    KAFKA_PASSWORD_FILE: passwordFile,
    NODE_EXTRA_CA_CERTS: broker.caFile,
    SCHEMA_REGISTRY_URL: endpoints.registryUrl,
    CATALOG_URI: endpoints.catalogUri,
    S3_ENDPOINT: endpoints.s3Endpoint,
    S3_ACCESS_KEY_ID: endpoints.s3AccessKeyId,
    S3_SECRET_ACCESS_KEY: endpoints.s3SecretAccessKey,
    COMMIT_INTERVAL: '1s',
    STATE_DIRECTORY: join(directory, 'state'),
    WORKERS: '2',
    HTTP_PORT: String(await freePort()),
  };
  const running = new Set<Command>();
  const start = (args: readonly string[], env: Environment = {}) => {
    const command = startCommand(['--config', pipelineFile, ...args], { ...base, ...env });
    running.add(command);
    void command.ended.then(() => running.delete(command));
    return command;
  };
  const run = async (args: readonly string[], env?: Environment): Promise<Finished> => {
    const command = start(args, env);
    const hung = setTimeout(() => void command.stop('SIGKILL'), commandMsMax);
    const code = await command.ended;
    clearTimeout(hung);
    return { code, stdout: command.stdout(), output: command.output() };
  };
  const ledger = join(directory, 'ledger');
  const sizes = Object.entries({ seed, ...dimensionSizes }).map(([size, n]) => `--${size}=${n}`);
  return {
    ledger,
    /** Options of `generate clicks` that fit the dimensions. */
    sizes: [...sizes, '--ledger', ledger],
    run,
    must: async (...args: string[]): Promise<Finished> => {
      const finished = await run(args);
      if (finished.code === 0) return finished;
      throw new Error(
        `tributary ${args.join(' ')} ended with ${finished.code}\n${finished.output}`,
      );
    },
    startPipeline: async (): Promise<Pipeline> =>
      asPipeline(start(['run']), `http://127.0.0.1:${base['HTTP_PORT']}`),
    /** How many records the pipeline has committed as rows or as rejects. */
    committed: async (pipeline: Pipeline): Promise<number> => {
      pipeline.mustBeAlive();
      const response = await fetch(`${pipeline.url}/metrics`).catch(() => undefined);
      const text = (await response?.text()) ?? '';
      const counts = text.matchAll(/^tributary_events_total\{.*\} (\d+)$/gm);
      return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
    },
    close: async (): Promise<void> => {
      await Promise.all([...running].map((command) => command.stop('SIGKILL')));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** pipeline.yaml as shipped, with names of its own, TLS and a user. */
async function securedPipeline(name: string): Promise<string> {
  const pipeline = parseDocument(await readFile(join(repository, 'pipeline.yaml'), 'utf8'));
  pipeline.set('pipeline', name);
  pipeline.setIn(['kafka', 'group'], name);
  pipeline.setIn(['kafka', 'tls'], true);
  pipeline.setIn(['kafka', 'sasl'], {
    mechanism: 'SCRAM-SHA-512',
    username: user.username,
    password: '${KAFKA_PASSWORD}',
  });
  pipeline.setIn(['stream', 'topic'], name);
  for (const [index, table] of Object.keys(dimensionSizes).entries()) {
    pipeline.setIn(['dimensions', index, 'topic'], `${name}.${table}`);
  }
  pipeline.setIn(['readiness', 'notification_topic'], `${name}.notifications`);
  pipeline.setIn(['table', 'name'], `lake.${name}`);
  pipeline.setIn(['table', 'dead_letter'], `lake.${name}_dead_letter`);
  return pipeline.toString();
}

async function fillTopics(name: string, { sasl: address, ca }: SecuredBroker): Promise<void> {
  const access = kafkajsAccess({
    brokers: [address],
    tls: { ca },
    sasl: { mechanism: 'SCRAM-SHA-512', ...user },
  });
  const { ssl, sasl } = access;
  const producer = await openKafkaProducer({
    brokers: [address],
    security: { ...(ssl && { ssl }), ...(sasl && { sasl }) },
    clientId: name,
    compression: 'gzip',
    log: () => undefined,
  });
  const registry = openRegistry({ url: endpoints.registryUrl });
  const target = (table: keyof typeof dimensionSizes) => ({
    topic: `${name}.${table}`,
    rows: dimensionSizes[table],
  });
  try {
    await writeDimensionTopics({
      producer,
      register: async (subject, avroSchema) =>
        (await registry.register(subject, JSON.parse(avroSchema))).schemaId,
      seed,
      users: target('users'),
      devices: target('devices'),
      urls: target('urls'),
      notificationTopic: `${name}.notifications`,
      partitions: 4,
      nowMs: Date.now,
      progress: () => undefined,
    });
    await producer.ensureTopic(name, 4, {});
  } finally {
    await producer.close();
  }
}
