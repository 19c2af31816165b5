import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { EnrichError } from '../../enrich/error.ts';
import type { Log } from '../../enrich/source/log.ts';
import { openPlatformaticLog } from '../../enrich/source/platformatic-log.ts';
import { ALL_CODECS, openKafkaHarness } from '../enrich/source/kafka-harness.ts';
import type { BrokerAccess } from '../enrich/source/kafka-harness.ts';
import { describeLogContract } from '../enrich/source/log-contract.ts';
import type { LogHarness } from '../enrich/source/log-contract.ts';
import { rowsOf } from '../enrich/source/rows.ts';
import { endpoints } from '../stack/endpoints.ts';
import { mechanisms, openSecuredBroker, user } from '../stack/secured-broker.ts';
import type { SecuredBroker } from '../stack/secured-broker.ts';
import { until } from './command.ts';
import { openSecuredLake } from './secured-lake.ts';
import type { SecuredLake } from './secured-lake.ts';

const wrongPassword = 'another-password';

let broker: SecuredBroker;
beforeAll(async () => {
  broker = await openSecuredBroker();
});
afterAll(() => broker.close());

const scram512 = { mechanism: 'SCRAM-SHA-512', ...user } as const;
const byTls = (): BrokerAccess => ({ brokers: [broker.tls], tls: { ca: broker.ca } });
const byUser = (sasl: NonNullable<BrokerAccess['sasl']> = scram512): BrokerAccess => ({
  brokers: [broker.sasl],
  tls: { ca: broker.ca },
  sasl,
});

function openLog(access: BrokerAccess, faults: EnrichError[] = []): Promise<Log> {
  const clientId = 'secured-test';
  const { random } = Math;
  return openPlatformaticLog({ ...access, clientId, random, onFault: (one) => faults.push(one) });
}

describeLogContract(
  'the log over @platformatic/kafka, by TLS and SCRAM-SHA-512,',
  () => openKafkaHarness(() => openLog(byUser()), byUser()),
  { topicIds: true, invisibleTail: true, wireBatches: true, codecs: ALL_CODECS },
);

type Opened = { harness: LogHarness; log: Log; topic: string };

/** A log, and a topic of one partition that is written to in the same way. */
async function openTopic(access: BrokerAccess, faults?: EnrichError[]): Promise<Opened> {
  const harness = await openKafkaHarness(() => openLog(access, faults), access);
  onTestFinished(() => harness.close());
  const log = await harness.open();
  onTestFinished(() => log.close());
  const topic = harness.topicName();
  await harness.createTopic(topic, 1);
  return { harness, log, topic };
}

async function readValues({ log, topic }: Opened, count: number): Promise<(string | null)[]> {
  const reader = await log.openReader();
  reader.assign([{ topic, partition: 0, nextOffset: 0n }]);
  const values: (string | null)[] = [];
  const limits = { waitMsMax: 500, bytesMax: 2 ** 20 };
  while (values.length < count) {
    await reader.poll((_topic, _partition, records) => {
      for (const { value } of rowsOf(records)) values.push(value);
    }, limits);
  }
  return values;
}

describe('a secured broker', () => {
  it.each(mechanisms)('lets in a user by %s', async (mechanism) => {
    const opened = await openTopic(byUser({ ...user, mechanism }));
    await opened.harness.append(opened.topic, 0, [{ key: null, value: mechanism }]);
    expect(await readValues(opened, 1)).toEqual([mechanism]);
  });

  it('is read by TLS alone, and takes members of a group', async () => {
    const opened = await openTopic(byTls());
    const { harness, log, topic } = opened;
    await harness.append(topic, 0, [{ key: null, value: 'by TLS' }]);
    expect(await readValues(opened, 1)).toEqual(['by TLS']);
    const member = await log.joinGroup({ groupId: topic, topic, clientId: 'secured-test' });
    await expect.poll(() => member.assignment(), { timeout: 20_000 }).toEqual([0]);
  });

  it('is read on and on in sessions that are renewed, and no fetch falls into a renewal', async () => {
    const faults: EnrichError[] = [];
    const { harness, topic } = await openTopic(byUser());
    const log = await openLog({ ...byUser(), brokers: [broker.shortSessions] }, faults);
    onTestFinished(() => log.close());
    const expected = Array.from({ length: 8 }, (_, i) => String(i));
    const reading = readValues({ harness, log, topic }, expected.length);
    for (const value of expected) {
      await harness.append(topic, 0, [{ key: null, value }]);
      expect((await log.bounds(topic)).get(0)?.startOffset).toBe(0n);
      await sleep(400);
    }
    expect(await reading).toEqual(expected);
    // ILLEGAL_SASL_STATE
    expect(faults.map(({ message }) => message).join()).not.toContain('answered error 34');
  });
});

/** Why the log could not be opened. */
async function refusal(access: BrokerAccess): Promise<EnrichError> {
  const error = await openLog(access).then(
    (log) => log.close(),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EnrichError)) throw new Error('expected a refusal', { cause: error });
  const all = inspect(error, { depth: Infinity, showHidden: true });
  expect(all).not.toContain(wrongPassword);
  expect(all).not.toContain(user.password);
  return error;
}

describe('a message that does not tell the password says what is wrong with', () => {
  it('an authority that nobody knows', async () => {
    const { kind, message } = await refusal({ ...byTls(), tls: {} });
    expect(message).toMatch(/self-signed certificate in certificate chain.*NODE_EXTRA_CA_CERTS/);
    expect(kind).toBe('config');
  });

  it('a host that the certificate does not name', async () => {
    const brokers = [broker.tls.replace('127.0.0.1', 'localhost')];
    const { kind, message } = await refusal({ ...byTls(), brokers });
    expect(message).toMatch(/Host: localhost\. is not cert's.*kafka\.brokers/);
    expect(kind).toBe('config');
  });

  it.each(mechanisms)('a wrong password for %s', async (mechanism) => {
    const sasl = { mechanism, username: user.username, password: wrongPassword };
    const { kind, message } = await refusal(byUser(sasl));
    expect(message).toMatch(/SASL authentication failed.*check .*password of kafka\.sasl/i);
    expect(kind).toBe('config');
  });

  it('a mechanism that the listener does not have', async () => {
    const sasl = { mechanism: 'PLAIN', ...user } as const;
    const { kind, message } = await refusal({ ...byUser(sasl), brokers: [broker.shortSessions] });
    expect(message).toMatch(/does not support the requested SASL mechanism.*check mechanism/);
    expect(kind).toBe('config');
  });

  it('a user on a listener that takes none', async () => {
    const { kind, message } = await refusal({ ...byUser(), brokers: [broker.tls] });
    expect(message).toContain('that the listener takes users');
    expect(kind).toBe('config');
  });

  it('plain text where TLS is spoken', async () => {
    const { kind, message } = await refusal({ brokers: [broker.tls] });
    expect(message).toContain('set `tls: true`');
    expect(kind).toBe('config');
  });

  // The broker only hangs up in these, as one does that stops: that may pass.
  it.each<[string, () => BrokerAccess]>([
    ['no user where one is wanted', () => ({ ...byTls(), brokers: [broker.sasl] })],
    [
      'a user in plain text where TLS is spoken',
      () => ({ brokers: [broker.sasl], sasl: scram512 }),
    ],
    ['TLS where plain text is spoken', () => ({ ...byTls(), brokers: endpoints.kafkaBrokers })],
  ])('%s', async (_name, access) => {
    const { kind, message } = await refusal(access());
    expect(message).toContain('kafka.tls and kafka.sasl');
    expect(kind).toBe('unavailable');
  });
});

describe('every command that reaches Kafka takes kafka.tls and kafka.sasl', () => {
  let lake: SecuredLake;
  beforeAll(async () => {
    lake = await openSecuredLake(broker);
  });
  afterAll(() => lake.close());

  it('from clicks that are generated to rows that are verified', async () => {
    const sent = await lake.must('generate', 'clicks', '--count', '3000', ...lake.sizes);
    expect(JSON.parse(sent.stdout)).toMatchObject({ clicks: 3000 });
    const pipeline = await lake.startPipeline();
    await until('every click is committed', async () => (await lake.committed(pipeline)) >= 3000);
    const verified = lake.must('verify', '--log', '--joins', '--ledger', lake.ledger);
    const [{ stdout }] = await Promise.all([lake.must('status'), lake.must('dlq', 'replay')]);
    expect(stdout).toMatch(/ 0 records of /);
    expect((await verified).stdout).toContain('3000');
    expect(await pipeline.stop('SIGTERM')).toBe(0);
    expect(pipeline.output()).not.toContain(user.password);
  });

  it('and ends with 78, without the password, where it is wrong or the authority is not known', async () => {
    const wrong = async (...args: string[]) => {
      const { code, output } = await lake.run(args, { KAFKA_PASSWORD: wrongPassword });
      expect(output).toContain('password of kafka.sasl');
      expect(output).not.toContain(wrongPassword);
      expect(code).toBe(78);
    };
    const unknown = lake.run(['run'], { NODE_EXTRA_CA_CERTS: '', HTTP_PORT: '0' });
    await Promise.all([
      wrong('run'),
      wrong('generate', 'clicks', '--count', '1'),
      wrong('verify', '--log'),
      wrong('dlq', 'replay'),
    ]);
    const { code, output } = await unknown;
    expect(output).toContain('NODE_EXTRA_CA_CERTS names the file');
    expect(code).toBe(78);
  });
});
