import { describe, expect, it } from 'vitest';
import { applyConnectors } from '../../connectors/apply.ts';
import type { ApplyOptions, ApplyStep } from '../../connectors/apply.ts';
import type { ConnectClient } from '../../connectors/connect-client.ts';
import { shortTrace } from '../../connectors/connector-runs.ts';
import { ConnectorsError } from '../../connectors/error.ts';
import type { TopicAdmin } from '../../connectors/kafka-admin.ts';
import { createMemoryTopicAdmin } from '../../connectors/memory-topic-admin.ts';
import { readConnectorsStatus } from '../../connectors/status.ts';
import { notificationTopic, signalTopic, tableTopic } from '../../connectors/topics.ts';
import { createMemoryRegistry } from '../../schemas/memory-registry.ts';
import { connectorsConfig } from './connectors-sample.ts';
import { memoryConnect, memoryDebezium, notification } from './memory-debezium.ts';

const config = connectorsConfig({ password: 'hunter2-secret' });

type StatusOptions = Parameters<typeof readConnectorsStatus>[0];

function options(connect: ConnectClient, lines: string[] = []): ApplyOptions & StatusOptions {
  let nowMs = 0;
  return {
    config,
    connect,
    topics: createMemoryTopicAdmin(),
    checkSource: async () => ({ kind: 'ready', warnings: [] }),
    readSlot: async () => ({ kind: 'unreachable', message: 'far away' }),
    loadSchema: async () => undefined,
    levels: createMemoryRegistry(),
    clock: { elapsedMs: () => nowMs, sleep: async (ms) => void (nowMs += ms) },
    onProgress: (line) => lines.push(line),
  };
}

const outcomes = (steps: ApplyStep[]): string[] => steps.map(({ outcome }) => outcome);

describe('apply', () => {
  it('makes everything the first time and changes nothing the second time', async () => {
    const given = options(memoryConnect(['RUNNING']));
    const first = await applyConnectors(given);
    expect(new Set(outcomes(first.slice(1, -2)))).toEqual(new Set(['created']));
    expect(outcomes(first.slice(-2))).toEqual(['running', 'unchanged']);
    const second = await applyConnectors(given);
    expect(new Set(outcomes(second))).toEqual(new Set(['unchanged', 'running']));
  });

  it('tells what only the owner of the source can mend', async () => {
    const steps = await applyConnectors({
      ...options(memoryConnect(['RUNNING'])),
      checkSource: async () => ({ kind: 'ready', warnings: ['users.tier: mend it'] }),
    });
    expect(steps.filter(({ outcome }) => outcome === 'differs')).toEqual([
      { subject: 'source', outcome: 'differs', message: 'source: users.tier: mend it' },
    ]);
  });

  it('has the registry take whatever the tables become, and no other subject', async () => {
    const levels = createMemoryRegistry();
    const given = { ...options(memoryConnect(['RUNNING'])), levels };
    await levels.setCompatibility('app.public.users-value', 'BACKWARD');
    await levels.setCompatibility('clicks-value', 'FULL');
    const steps = await applyConnectors(given);
    expect(steps.filter(({ subject }) => subject.startsWith('subject'))).toEqual([
      expect.objectContaining({
        subject: 'subject app.public.users-value',
        outcome: 'changed',
        message: expect.stringContaining('BACKWARD -> NONE') as string,
      }),
    ]);
    expect(await levels.compatibility('app.public.users-value')).toBe('NONE');
    expect(await levels.compatibility('clicks-value')).toBe('FULL');
  });

  it('corrects a setting that drifted and only tells of another number of partitions', async () => {
    const given = options(memoryConnect(['RUNNING']));
    await given.topics.createTopic({
      topic: 'app.public.users',
      partitions: 3,
      replicationFactor: 1,
      settings: { 'cleanup.policy': 'delete', 'retention.bytes': '5' },
    });
    const steps = await applyConnectors(given);
    const users = steps.filter(({ subject }) => subject === 'topic app.public.users');
    expect(outcomes(users)).toEqual(['changed', 'differs']);
    expect(users[0]?.message).toContain('cleanup.policy delete -> compact');
    const state = (await given.topics.describeTopics(['app.public.users'])).get('app.public.users');
    expect(state?.partitions).toBe(3);
    expect(state?.settings.get('retention.bytes')).toBe('5');
  });

  it('changes a connector whose configuration differs and names what it changed', async () => {
    const given = options(memoryConnect(['RUNNING']));
    await applyConnectors(given);
    const database = { ...config.database, port: 5433 };
    const steps = await applyConnectors({ ...given, config: { ...config, database } });
    expect(steps.find(({ subject }) => subject.startsWith('connector'))).toMatchObject({
      outcome: 'changed',
      message: 'connector app: changed database.port',
    });
  });

  it('waits for tasks that are slow to start', async () => {
    const lines: string[] = [];
    const connect = memoryConnect(['UNASSIGNED', 'UNASSIGNED', 'RUNNING']);
    await applyConnectors(options(connect, lines));
    expect(lines).toContain('connector app: RUNNING, task 0 UNASSIGNED');
    expect(connect.restarts).toBe(0);
  });

  it('restarts a failed task once, and then fails in the connector’s own words', async () => {
    const trace =
      'ConnectException: no slot\n\tat io.debezium.A.b(A.java:1)\nCaused by: PSQLException: gone';
    const connect = memoryConnect(['FAILED'], trace);
    const failure = applyConnectors(options(connect));
    await expect(failure).rejects.toMatchObject({
      kind: 'config',
      message:
        'connector app failed: ConnectException: no slot\nCaused by: PSQLException: gone\n' +
        'The replication slot was not checked, far away: if it has lost its place, run ' +
        '`tributary connectors resnapshot --all` where the database can be reached',
    });
    expect(connect.restarts).toBe(1);
  });

  it('names the way out where the replication slot has lost its place', async () => {
    const connect = memoryConnect(['FAILED'], 'DebeziumException: it does not go on');
    connect.readOffset = async () => ({ lsn: 100 });
    const given = options(connect);
    given.readSlot = async () => ({ kind: 'missing', currentLsn: 200n });
    const failure = applyConnectors(given);
    await expect(failure).rejects.toThrow('it does not go on\nslot tributary_slot does not');
    await expect(failure).rejects.toThrow('Run: tributary connectors resnapshot --all');
  });

  it('gives up waiting after a bounded time', async () => {
    const failure = applyConnectors(options(memoryConnect(['UNASSIGNED'])));
    await expect(failure).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('waits for Connect to come up', async () => {
    const connect = memoryConnect(['RUNNING']);
    const lines: string[] = [];
    let refusals = 2;
    const reachable = memoryConnect(['RUNNING']);
    connect.readConfig = (connector) => {
      if (refusals-- > 0) throw new ConnectorsError('unavailable', 'Connect is unreachable');
      return reachable.readConfig(connector);
    };
    await applyConnectors(options(connect, lines));
    expect(lines.filter((line) => line === 'waiting: Connect is unreachable')).toHaveLength(2);
  });

  it('shows no secret in what Connect refuses', async () => {
    const connect = memoryConnect(['RUNNING']);
    connect.writeConfig = () => {
      throw new ConnectorsError('config', 'cannot connect with database.password=hunter2-secret');
    };
    const failure = applyConnectors(options(connect));
    await expect(failure).rejects.toThrow('database.password=***');
    expect(shortTrace(config, 'FATAL: hunter2-secret')).toBe('FATAL: ***');
  });

  it('says what was not checked', async () => {
    const given = options(memoryConnect(['RUNNING']));
    const steps = await applyConnectors({
      ...given,
      checkSource: async () => ({ kind: 'unreachable', message: 'far away' }),
    });
    expect(steps[0]).toMatchObject({
      outcome: 'unchecked',
      message: 'source: not checked, far away',
    });
  });
});

describe('a table that is added after the initial snapshot', () => {
  const added = { ...config, tables: [...config.tables, 'public.orders'] };

  async function applied(topics: TopicAdmin, lines: string[] = []): Promise<ApplyOptions> {
    const given = { ...options(memoryConnect(['RUNNING']), lines), topics };
    await applyConnectors(given);
    for (const table of config.tables) {
      const details = { scanned_collection: table, status: 'SUCCEEDED' };
      const told = notification('Initial Snapshot', 'TABLE_SCAN_COMPLETED', details);
      await topics.appendRecord(notificationTopic(config), told);
    }
    await topics.appendRecord(
      notificationTopic(config),
      notification('Initial Snapshot', 'COMPLETED'),
    );
    return given;
  }

  it('is read on request, once', async () => {
    const topics = memoryDebezium(config, () => 'SUCCEEDED');
    const lines: string[] = [];
    const given = { ...(await applied(topics, lines)), config: added };
    expect((await applyConnectors(given)).at(-1)?.outcome).toBe('loaded');
    expect(lines).toContain('public.orders: 7 rows read');
    expect((await applyConnectors(given)).at(-1)?.outcome).toBe('unchanged');
    const [signal, ...others] = await topics.readRecords(signalTopic(config));
    expect(others).toEqual([]);
    expect(String(signal?.key)).toBe(config.topics.prefix);
    expect(JSON.parse(String(signal?.value))).toMatchObject({
      type: 'execute-snapshot',
      data: { type: 'incremental', 'data-collections': ['public.orders'] },
    });
  });

  it('is read by a later apply where an earlier one was cut short', async () => {
    let answer: string | undefined;
    const topics = memoryDebezium(config, () => answer);
    const given = { ...(await applied(topics)), config: added };
    await expect(applyConnectors(given)).rejects.toMatchObject({ kind: 'unavailable' });
    answer = 'SUCCEEDED';
    expect((await applyConnectors(given)).at(-1)?.outcome).toBe('loaded');
  });

  it('is refused where it was captured before and changed unseen', async () => {
    const given = await applied(memoryDebezium(config, () => 'SUCCEEDED'));
    const [first = '', ...fewer] = config.tables;
    const topic = tableTopic(config, first);
    await given.topics.appendRecord(topic, { key: '1', value: 'as it was' });
    await applyConnectors({ ...given, config: { ...config, tables: fewer } });
    const failure = applyConnectors(given);
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(topic);
    expect(await given.topics.readRecords(signalTopic(config))).toEqual([]);
  });

  it('is read again after a restart where Debezium failed in the middle', async () => {
    const statuses = ['SQL_EXCEPTION', 'SUCCEEDED'];
    const given = await applied(memoryDebezium(config, () => statuses.shift()));
    let restarts = 0;
    given.connect.restart = async () => void restarts++;
    const steps = await applyConnectors({ ...given, config: added });
    expect(steps.at(-1)?.outcome).toBe('loaded');
    expect([restarts, statuses]).toEqual([1, []]);
  });

  it('is read again after a restart where the task died of the request', async () => {
    let isDead = false;
    let restarts = 0;
    const topics = memoryDebezium(config, () => {
      isDead = restarts === 0;
      return isDead ? undefined : 'SUCCEEDED';
    });
    const given = await applied(topics);
    const [alive, dead] = [given.connect, memoryConnect(['FAILED'], 'NullPointerException')];
    await dead.writeConfig(config.connector, {});
    const connect: ConnectClient = {
      ...alive,
      readStatus: (name) => (isDead ? dead : alive).readStatus(name),
      restart: async () => {
        restarts += 1;
        isDead = false;
      },
    };
    const steps = await applyConnectors({ ...given, connect, config: added });
    expect(steps.at(-1)?.outcome).toBe('loaded');
    expect(restarts).toBe(1);
  });

  it('is asked for again where Debezium was not listening yet', async () => {
    const topics = memoryDebezium(config, () => 'SUCCEEDED');
    const given = { ...(await applied(topics)), config: added };
    let lost = 0;
    const append: TopicAdmin['appendRecord'] = async (topic, record) => {
      if (topic === signalTopic(config) && lost++ < 2) return;
      await topics.appendRecord(topic, record);
    };
    const steps = await applyConnectors({ ...given, topics: { ...topics, appendRecord: append } });
    expect(steps.at(-1)?.outcome).toBe('loaded');
    expect(lost).toBe(3);
  });

  it('is asked for a few times at most of a task that hears it late', async () => {
    const given = { ...(await applied(memoryDebezium(config, () => undefined))), config: added };
    await expect(applyConnectors(given)).rejects.toMatchObject({ kind: 'unavailable' });
    const asked = await given.topics.readRecords(signalTopic(config));
    expect(asked.length).toBeGreaterThan(2);
    expect(asked.length).toBeLessThan(6);
  });

  it('is named where Debezium cannot read it', async () => {
    const given = await applied(memoryDebezium(config, () => 'NO_PRIMARY_KEY'));
    const failure = applyConnectors({ ...given, config: added });
    await expect(failure).rejects.toMatchObject({
      kind: 'config',
      message: 'Debezium cannot read the rows of public.orders: NO_PRIMARY_KEY',
    });
  });
});

describe('the password', () => {
  it('is not in the connector’s configuration', async () => {
    const connect = memoryConnect(['RUNNING']);
    await applyConnectors(options(connect));
    const written = await connect.readConfig('app');
    expect(written?.['database.password']).toBe('${env:DATABASE_PASSWORD}');
    expect(JSON.stringify(written)).not.toContain('hunter2');
  });

  it('that PostgreSQL refuses from Connect is the worker’s to have', async () => {
    const connect = memoryConnect(['RUNNING']);
    connect.writeConfig = () => {
      throw new ConnectorsError('config', 'FATAL: password authentication failed for user "cdc"');
    };
    const failure = applyConnectors(options(connect));
    await expect(failure).rejects.toThrow('give the worker DATABASE_PASSWORD');
  });
});

describe('status', () => {
  it('tells what is missing before apply and nothing after', async () => {
    const given = options(memoryConnect(['RUNNING']));
    const before = await readConnectorsStatus(given);
    expect(before.state).toBe('MISSING');
    expect(before.topics.every(({ differences }) => differences[0] === 'missing')).toBe(true);
    await applyConnectors(given);
    const after = await readConnectorsStatus(given);
    expect(after).toMatchObject({ state: 'RUNNING', failure: undefined });
    expect(after.topics.flatMap(({ differences }) => differences)).toEqual([]);
  });

  it('tells why a task failed', async () => {
    const connect = memoryConnect(['FAILED'], 'no slot\n\tat a.b(C.java:1)');
    await connect.writeConfig('app', {});
    const report = await readConnectorsStatus(options(connect));
    expect(report).toMatchObject({ tasks: [{ taskId: 0, state: 'FAILED' }], failure: 'no slot' });
    expect(report.asWanted).toBe(false);
  });

  it.each<[string, (given: ApplyOptions) => Promise<void>]>([
    [
      'another setting of the connector',
      async ({ connect }) => {
        const present = (await connect.readConfig('app')) ?? {};
        await connect.writeConfig('app', { ...present, 'poll.interval.ms': '500' });
      },
    ],
    [
      'another setting of a topic',
      ({ topics }) => topics.alterTopic('app.public.users', { 'cleanup.policy': 'delete' }),
    ],
    [
      'another number of partitions',
      ({ topics }) =>
        topics.createTopic({
          topic: 'clicks',
          partitions: 2,
          replicationFactor: 1,
          settings: { 'cleanup.policy': 'delete', 'retention.ms': '604800000' },
        }),
    ],
  ])('tells of %s', async (_difference, change) => {
    const given = options(memoryConnect(['RUNNING']));
    await applyConnectors(given);
    expect((await readConnectorsStatus(given)).asWanted).toBe(true);
    await change(given);
    const report = await readConnectorsStatus(given);
    const differences = [
      ...report.differences,
      ...report.topics.flatMap((topic) => topic.differences),
    ];
    expect(differences).toHaveLength(1);
    expect(report.asWanted).toBe(false);
  });

  it('is not as wanted while a task does not run', async () => {
    const given = options(memoryConnect(['RUNNING']));
    await applyConnectors(given);
    const present = (await given.connect.readConfig('app')) ?? {};
    const paused = memoryConnect(['PAUSED']);
    await paused.writeConfig('app', present);
    const report = await readConnectorsStatus({ ...given, connect: paused });
    expect(report).toMatchObject({ differences: [], asWanted: false });
  });
});
