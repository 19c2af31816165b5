import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createHostedTopic } from '../../connectors/fresh-topic.ts';
import { writeDimensionTopics } from '../../generate/dimension-topic.ts';
import { openPostgres } from '../../generate/postgres.ts';
import type { SqlConnection } from '../../generate/postgres.ts';
import { openRandom } from '../../generate/random.ts';
import { loadContract } from '../../schemas/load-contracts.ts';
import type { Report } from '../../verify/report.ts';
import { stopCleanly, until } from '../pipeline/command.ts';
import { openLoad } from './load.ts';
import type { Load, LoadSize } from './load.ts';
import type { Peers } from './peers.ts';
import { openProcesses } from './processes.ts';
import { factOf, proofOf, totalRows, withFinding } from './proof.ts';
import { openFaultProxy } from './proxy.ts';
import type { FaultProxy, Rule } from './proxy.ts';
import { openRoundFiles } from './round-files.ts';
import { requestsOf } from './round-requests.ts';
import { openTableView } from './table-view.ts';
import type { Kind, Proof, ProofWish, Round, StackControl } from './round.ts';
import { seedSource, sourceAddress, sourceSize } from './source.ts';
import { openTopicChanges } from './topic-changes.ts';

export type RoundOptions = {
  kind: Kind;
  name: string;
  seed: number;
  peers: Peers;
  stack: StackControl;
  say: (line: string) => void;
};

const streamPartitions = 6;
const dimensionPartitions = 3;
const strikeMsMax = 60_000;
const size: Omit<LoadSize, 'seed'> = { users: 2_000, devices: 2_000, urls: 1_000 };
const standardLoad = { clicksPerSecond: 1_200, changesPerSecond: 10, corrupt: 0.01 };
/** Clicks that every round has at least. */
const clicksMin = 5_000;

export type OpenedRound = {
  round: Round;
  /**
   * Brings the round to its end: pipelines that run, everything committed, all stopped. Gives the seconds from the
   * end of the fault to the next commit.
   */
  settle: () => Promise<number>;
  /** Kills and removes what the round has made; `keep` leaves its folder for whoever looks into a failure. */
  close: (wish: { keep: boolean }) => Promise<void>;
};

/** Makes topics and dimensions, starts the load. */
export async function openRound(options: RoundOptions): Promise<OpenedRound> {
  const { kind, name, seed, peers, stack, say } = options;
  const files = await openRoundFiles(name, kind);
  const names = (): Round['names'] => files.names;
  const random = openRandom(seed, kind.name);
  const proxies: FaultProxy[] = [];
  const openProxy = async (): Promise<FaultProxy> => {
    const { catalogUri, s3Endpoint, registryUrl, kafkaBrokers } = peers.endpoints;
    const kafkaBroker = kafkaBrokers[0] ?? '';
    const proxy = await openFaultProxy({ catalogUri, s3Endpoint, registryUrl, kafkaBroker });
    proxies.push(proxy);
    return proxy;
  };
  const proxy = await openProxy();
  const processes = openProcesses({ files, proxy, endpoints: peers.endpoints });
  const opened: (() => Promise<unknown>)[] = [];
  const admin = await peers.openAdmin();
  opened.push(() => admin.disconnect());
  const view = openTableView({ names, admin, catalog: peers.catalog, processes });
  const { topic } = files.names;
  await createHostedTopic(admin, { topic, numPartitions: streamPartitions });
  const { load, newLedger, ledger } = await openRoundLoad(options, files, processes, opened);
  load.resume();
  let database: Promise<Client> | undefined;
  const round: Round = {
    name,
    random,
    directory: files.directory,
    stateDirectory: processes.stateDirectory,
    endpoints: peers.endpoints,
    stack,
    get names() {
      return names();
    },
    pipelineFile: files.pipelineFile,
    configure: files.configure,
    variant: files.variant,
    proxy,
    openProxy,
    requests: requestsOf(names),
    arm: (rule) => proxy.arm(rule),
    strike: (rule, action) => strike(round, rule, action),
    struck: (rule, times = 1) =>
      until(
        'the rule strikes',
        () => {
          if (rule.hits() < times) round.mustBeAlive();
          return rule.hits() >= times;
        },
        strikeMsMax,
      ),
    ...processes.forRound,
    startCommitting: async (wish) => {
      const pipeline = await processes.forRound.start(wish);
      await pipeline.ready();
      await round.nextCommit();
      return pipeline;
    },
    load,
    ledger,
    newLedger,
    ...view,
    until,
    sleep: (ms) => sleep(ms),
    admin,
    openProducer: async () => {
      const producer = await peers.openProducer();
      opened.push(() => producer.close());
      return producer;
    },
    catalog: peers.catalog,
    trino: peers.trino,
    database: () => (database ??= connectAsOwner(opened)),
    prove: (wish) => prove(round, wish),
    say,
  };
  return {
    round,
    settle: () => settle(round, kind.load?.clicksMin ?? clicksMin),
    close: async ({ keep }) => {
      await load.pause().catch(() => undefined);
      await processes.killAll();
      if (keep) await processes.writeLogs();
      await Promise.all(proxies.map((one) => one.close()));
      for (const close of opened) await close().catch(() => undefined);
      await removeTraces(options, files.names).catch(() => undefined);
      if (!keep) await rm(files.directory, { recursive: true, force: true });
    },
  };
}

async function openRoundLoad(
  { kind, seed, peers }: RoundOptions,
  files: Awaited<ReturnType<typeof openRoundFiles>>,
  processes: ReturnType<typeof openProcesses>,
  opened: (() => Promise<unknown>)[],
): Promise<{ load: Load; ledger: () => string; newLedger: () => string }> {
  const { register, openProducer } = peers;
  const { dimensionTopics, notificationTopic } = files.names;
  const roundSize = kind.dimensions === 'debezium' ? sourceSize : { seed, ...size };
  const topics = {
    users: dimensionTopics['users'] ?? '',
    devices: dimensionTopics['devices'] ?? '',
    urls: dimensionTopics['urls'] ?? '',
  };
  let source: SqlConnection | undefined;
  if (kind.dimensions === 'debezium') {
    await seedSource(files, processes.forRound.must);
    const connection = await openPostgres(sourceAddress);
    opened.push(() => connection.close());
    source = connection;
  } else {
    const producer = await openProducer();
    await writeDimensionTopics({
      producer,
      register,
      seed,
      users: { topic: topics.users, rows: roundSize.users },
      devices: { topic: topics.devices, rows: roundSize.devices },
      urls: { topic: topics.urls, rows: roundSize.urls },
      notificationTopic,
      partitions: dimensionPartitions,
      nowMs: Date.now,
      progress: () => undefined,
    });
    await producer.close();
  }
  let ledgers = 1;
  const ledger = (): string => join(files.directory, `clicks-${ledgers}.ndjson`);
  const changes =
    source ??
    openTopicChanges({
      register,
      topics,
      partitions: dimensionPartitions,
      size: roundSize,
      random: openRandom(seed, 'changes'),
    });
  const load = openLoad({
    size: roundSize,
    topic: () => files.names.topic,
    ledger,
    journal: join(files.directory, 'changes.ndjson'),
    openProducer,
    register,
    avroSchema: (await loadContract('schemas', 'click')).avroSchema,
    ...standardLoad,
    ...kind.load,
    changes,
  });
  const newLedger = (): string => {
    ledgers += 1;
    return ledger();
  };
  return { load, ledger, newLedger };
}

async function strike(
  round: Round,
  { proxy = round.proxy, ...rule }: Omit<Rule, 'action'> & { proxy?: FaultProxy },
  action: () => unknown,
): Promise<void> {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const armed = proxy.arm({
    ...rule,
    action: {
      kind: 'call',
      call: async () => {
        try {
          const verdict = await action();
          resolve();
          return verdict === 'drop' ? 'drop' : 'go-on';
        } catch (error) {
          reject(error);
          return 'go-on';
        }
      },
    },
  });
  await Promise.race([done, round.struck(armed)]);
  await done;
}

async function settle(round: Round, clicks: number): Promise<number> {
  const startedMs = Date.now();
  round.say('settles');
  round.proxy.clear();
  for (const peer of ['catalog', 's3', 'registry', 'kafka'] as const) round.proxy.admit(peer);
  round.load.resume();
  round.mustBeAlive();
  if (round.pipelines().length === 0) await round.start();
  await Promise.all(round.pipelines().map((pipeline) => pipeline.ready()));
  await round.nextCommit(90_000);
  const seconds = (Date.now() - startedMs) / 1000;
  await round.until(`${clicks} clicks`, () => {
    round.load.mustFlow();
    return round.load.clicks() >= clicks;
  });
  await round.load.pause();
  await round.caughtUp();
  await Promise.all(round.pipelines().map((pipeline) => stopCleanly(pipeline)));
  return seconds;
}

async function prove(round: Round, wish: ProofWish = {}): Promise<Proof> {
  round.say('verifies');
  const { ledger = round.ledger(), joins = true } = wish;
  const finished = await round.run([
    'verify',
    '--json',
    ...(ledger === false ? [] : ['--ledger', ledger]),
    ...(joins ? ['--joins'] : []),
  ]);
  if (!finished.stdout.startsWith('[')) throw new Error(`verify said\n${finished.output}`);
  const reports = JSON.parse(finished.stdout) as Report[];
  let proof = proofOf(reports);
  const totals = {
    rows: totalRows(await round.metadata()),
    rejects: totalRows(await round.metadata('deadLetter')),
  };
  for (const sort of ['rows', 'rejects'] as const) {
    const [read, total] = [proof[sort], totals[sort]];
    if (read === total) continue;
    const text = `verify has read ${read} ${sort}, the current snapshot counts ${total}`;
    proof = withFinding(proof, total > read ? 'doubled' : 'lost', text);
  }
  if (ledger !== false && factOf(reports, 'not committed yet') > 0) {
    proof = withFinding(proof, 'lost', 'records of the ledger lie above the position');
  }
  if ((finished.code !== 0) === proof.findings.length > 0) return proof;
  if (finished.code === 0) return proof;
  return withFinding(proof, 'wrong', `verify ended with ${finished.code}: ${finished.output}`);
}

async function connectAsOwner(opened: (() => Promise<unknown>)[]): Promise<Client> {
  const { user, password, host, port, database } = sourceAddress;
  const client = new Client({ user, password, host, port, database });
  await client.connect();
  opened.push(() => client.end());
  return client;
}

async function removeTraces({ kind, peers }: RoundOptions, names: Round['names']): Promise<void> {
  const { topic, dimensionTopics, notificationTopic, events, deadLetter } = names;
  const dimensions = [...Object.values(dimensionTopics), notificationTopic];
  const topics = kind.dimensions === 'debezium' ? [topic] : [topic, ...dimensions];
  const admin = await peers.openAdmin();
  try {
    await admin.deleteTopics({ topics });
  } finally {
    await admin.disconnect();
  }
  for (const name of [events, deadLetter]) {
    await peers.catalog.dropTable({ namespace: ['lake'], name }).catch(() => undefined);
  }
}
