import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findJdk } from '../../stack/java.ts';
import { readInstance } from '../../stack/instance.ts';
import { answersKafka } from '../../stack/probe.ts';
import { freePort, until } from '../pipeline/command.ts';

const run = promisify(execFile);

/** The only user; every mechanism knows it. */
export const user = { username: 'tributary', password: 'open=sesame' } as const;

export const mechanisms = ['SCRAM-SHA-512', 'SCRAM-SHA-256', 'PLAIN'] as const;
/** The package of the modules that log in. */
const logins = 'org.apache.kafka.common.security';
const scramMechanisms = mechanisms.filter((mechanism) => mechanism !== 'PLAIN');

/** A broker that answers nobody without TLS; its certificate names 127.0.0.1, and no other host. */
export type SecuredBroker = {
  /** TLS without a user, as `127.0.0.1:port`. */
  tls: string;
  /** TLS with a user, by any of `mechanisms`. */
  sasl: string;
  /** The same by SCRAM-SHA-512 alone, in sessions of 3 s that a client must renew. */
  shortSessions: string;
  /** Who signed the certificate: PEM, and the file that it stands in. */
  ca: string;
  caFile: string;
  close: () => Promise<void>;
};

/** Starts a broker of its own beside the stack, from the stack's jars. Its data goes when it is closed. */
export async function openSecuredBroker(): Promise<SecuredBroker> {
  const directory = await mkdtemp(join(tmpdir(), 'secured-broker-'));
  const bin = join(await findJdk(process.env), 'bin');
  const libraries = join(readInstance(process.env).dist, 'kafka/lib/*');
  const caFile = await makeCertificates(directory, join(bin, 'keytool'));
  const ports = await findPorts();
  const properties = join(directory, 'server.properties');
  await writeFile(properties, serverProperties(directory, ports));
  await format(join(bin, 'java'), libraries, properties);
  const stop = await start(directory, ports.internal, [
    join(bin, 'java'),
    '-Xmx256m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    libraries,
    'kafka.Kafka',
    properties,
  ]);
  return {
    tls: `127.0.0.1:${ports.tls}`,
    sasl: `127.0.0.1:${ports.sasl}`,
    shortSessions: `127.0.0.1:${ports.short}`,
    ca: await readFile(caFile, 'utf8'),
    caFile,
    close: async () => {
      await stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

type Ports = Readonly<Record<'internal' | 'controller' | 'tls' | 'sasl' | 'short', number>>;

async function findPorts(): Promise<Ports> {
  const ports = { internal: 0, controller: 0, tls: 0, sasl: 0, short: 0 };
  for (const name of Object.keys(ports) as (keyof Ports)[]) ports[name] = await freePort();
  return ports;
}

/** The broker's key and certificate, in a store, beside the authority's certificate, whose path is the answer. */
async function makeCertificates(directory: string, keytool: string): Promise<string> {
  const caFile = join(directory, 'ca.pem');
  const store = ['-keystore', join(directory, 'broker.p12'), '-storepass', 'changeit'];
  const pair = ['-genkeypair', ...store, '-keyalg', 'EC', '-validity', '2'];
  await run(keytool, [...pair, '-alias', 'ca', '-dname', 'CN=Test authority', '-ext', 'bc:c']);
  const names = ['-dname', 'CN=broker', '-ext', 'san=ip:127.0.0.1'];
  await run(keytool, [...pair, '-alias', 'broker', '-signer', 'ca', ...names]);
  await run(keytool, ['-exportcert', '-rfc', ...store, '-alias', 'ca', '-file', caFile]);
  // Of several keys a broker shows any.
  await run(keytool, ['-delete', ...store, '-alias', 'ca']);
  return caFile;
}

function serverProperties(directory: string, ports: Ports): string {
  const scram = `${logins}.scram.ScramLoginModule required;`;
  const known = `user_${user.username}="${user.password}"`;
  const plain = `${logins}.plain.PlainLoginModule required ${known};`;
  const listeners =
    `INTERNAL://127.0.0.1:${ports.internal},TLS://127.0.0.1:${ports.tls},` +
    `SASL://127.0.0.1:${ports.sasl},SHORT://127.0.0.1:${ports.short}`;
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    // What the broker sends to itself needs no certificate.
    'inter.broker.listener.name': 'INTERNAL',
    'listener.security.protocol.map':
      'INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_SSL,SHORT:SASL_SSL',
    listeners: `${listeners},CONTROLLER://127.0.0.1:${ports.controller}`,
    'advertised.listeners': listeners,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.location': join(directory, 'broker.p12'),
    'ssl.keystore.password': 'changeit',
    'sasl.enabled.mechanisms': mechanisms.join(','),
    'listener.name.sasl.scram-sha-512.sasl.jaas.config': scram,
    'listener.name.sasl.scram-sha-256.sasl.jaas.config': scram,
    'listener.name.sasl.plain.sasl.jaas.config': plain,
    'listener.name.short.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    'listener.name.short.scram-sha-512.sasl.jaas.config': scram,
    'listener.name.short.scram-sha-512.connections.max.reauth.ms': '3000',
    'log.dirs': join(directory, 'data'),
    'auto.create.topics.enable': 'false',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'log.cleaner.backoff.ms': '500',
    'log.cleaner.dedupe.buffer.size': '16777216',
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/** Gives the data directory its cluster id, and the SCRAM mechanisms their user. */
async function format(java: string, libraries: string, properties: string): Promise<void> {
  const credentials = `[name=${user.username},password=${user.password}]`;
  await run(java, [
    '-XX:TieredStopAtLevel=1',
    '-cp',
    libraries,
    'kafka.tools.StorageTool',
    'format',
    `--cluster-id=${randomBytes(16).toString('base64url')}`,
    `--config=${properties}`,
    ...scramMechanisms.map((mechanism) => `--add-scram=${mechanism}=${credentials}`),
  ]);
}

/** Starts the broker, waits until it answers, and gives what stops it. */
async function start(
  directory: string,
  port: number,
  [file = '', ...args]: readonly string[],
): Promise<() => Promise<void>> {
  const log = join(directory, 'broker.log');
  const output = await open(log, 'w');
  const broker = spawn(file, args, { stdio: ['ignore', output.fd, output.fd] });
  await output.close();
  const ended = once(broker, 'exit');
  const kill = (): void => void broker.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    // Nothing of it is kept.
    kill();
    await ended;
    process.off('exit', kill);
  };
  try {
    await until('the secured broker answers', async () => {
      if (broker.exitCode !== null) throw new Error(await readFile(log, 'utf8'));
      return answersKafka(port);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
