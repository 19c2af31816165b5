import type { Catalog } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { Admin } from 'kafkajs';
import type { Client } from 'pg';
import type { RecordProducer } from '../../generate/kafka-producer.ts';
import type { Random } from '../../generate/random.ts';
import type { ComponentName } from '../../stack/components.ts';
import type { Trino } from '../../verify/trino.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { Command, Finished, Pipeline } from '../pipeline/command.ts';
import type { Load } from './load.ts';
import type { ArmedRule, FaultProxy, Rule } from './proxy.ts';

/*
 * How to add a kind of fault: in a file under `kinds/` put a `Kind` into the array that is its default export.
 * `node test/chaos/main.ts --list` shows it, `make chaos FAULTS=<name>` runs it (with `--keep` in place of make the stack
 * stays up for the next try), and `node test/chaos/main.ts --rounds 0 --record` puts it into docs/faults.md, which a
 * unit test holds against the list of kinds.
 *
 * A round gives it topics, tables, a pipeline name and a state directory of its own; dimensions are loaded and
 * clicks flow (with changes of dimensions and some rejects) when `inject` is called. No pipeline runs yet:
 *
 *   inject: async (round) => {
 *     const pipeline = await round.startCommitting();
 *     await round.strike({ match: round.requests.commit('events'), at: 'applied' }, () => pipeline.stop('SIGKILL'));
 *   }
 *
 * When `inject` resolves, the fault is over (components run again, nothing is stopped with SIGSTOP). The round then
 * starts a pipeline where none runs, waits until more clicks are committed, ends the load, waits until all is
 * committed, stops every pipeline with SIGTERM (exit code 0) and proves every row. What `inject` throws, and
 * whatever it leaves broken, fails the round.
 */

/** A kind of fault. */
export type Kind = {
  /** In kebab case; `FAULTS` takes it. */
  name: string;
  /** What happens, in a few words that follow the name in lists. */
  does: string;
  /** What is promised beside that no row is lost, doubled or wrong. */
  promise: string;
  /** Components beside kafka, s3, registry and catalog. */
  needs?: readonly ComponentName[];
  /**
   * Where changes of dimensions come from. `topics` (default): records in the shape of Debezium's, written into
   * topics of the round's own. `debezium`: PostgreSQL through the one real connector, into `app.public.*`.
   */
  dimensions?: 'topics' | 'debezium';
  load?: LoadWish;
  /** The longest that a round may take; five minutes by default. */
  roundMsMax?: number;
  inject: (round: Round) => Promise<void>;
  /** In place of `Round.prove()`, for what is meant to leave records out or to start over under another name. */
  prove?: (round: Round) => Promise<Proof>;
};

/** What differs from the standard load. */
type LoadWish = {
  clicksPerSecond?: number;
  changesPerSecond?: number;
  /** Share of records that cannot be decoded; 0.01 by default. */
  corrupt?: number;
  /** Clicks that a round has at least. */
  clicksMin?: number;
};

/** What a proof has read and found. All three counts are 0 where the promise was kept. */
export type Proof = {
  rows: number;
  rejects: number;
  lost: number;
  doubled: number;
  wrong: number;
  /** The findings in words. */
  findings: readonly string[];
};

export type ProofWish = {
  /** Compare every enriched column by a second join; true by default. */
  joins?: boolean;
  /** A ledger file in place of the round's current one; false leaves the comparison out. */
  ledger?: string | false;
};

export type StartWish = {
  /** Another state directory beside the first one, by any name: needed for a second process at a time. */
  state?: string;
  /** Such as `--accept-rollback`. */
  flags?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Another pipeline file, as `variant` gives it. */
  config?: string;
  /** By default the round's. */
  proxy?: FaultProxy;
};

export type TableName = 'events' | 'deadLetter';

/** Named requests of the commit path, to be used in rules. */
export type Requests = {
  loadTable: (table: TableName) => Rule['match'];
  commit: (table: TableName) => Rule['match'];
  /** PUTs of Parquet files. */
  dataFile: (table: TableName) => Rule['match'];
  manifest: (table: TableName) => Rule['match'];
  manifestList: (table: TableName) => Rule['match'];
  /** The catalog's configuration, asked for once by each process; the state is opened right after it. */
  catalogConfig: Rule['match'];
  /** Group offsets, which are stored after a commit. */
  storeGroupOffsets: Rule['match'];
  fetch: Rule['match'];
};

export type StackControl = {
  /** Stops and starts one component, its data kept. `kill` is kill -9. */
  stop: (component: ComponentName) => Promise<void>;
  kill: (component: ComponentName) => Promise<void>;
  /** Resolves when it answers. */
  start: (component: ComponentName) => Promise<void>;
  restart: (component: ComponentName) => Promise<void>;
  pid: (component: ComponentName) => Promise<number>;
};

/** pipeline.yaml as an object, to be edited. */
export type PipelineYaml = {
  pipeline: string;
  kafka: { group: string } & Record<string, unknown>;
  stream: { topic: string } & Record<string, unknown>;
  dimensions: ({ name: string; topic: string } & Record<string, unknown>)[];
  readiness: { notification_topic: string };
  catalog: Record<string, unknown>;
  table: { name: string; dead_letter: string } & Record<string, unknown>;
  commit: Record<string, unknown>;
} & Record<string, unknown>;

export type Round = {
  readonly name: string;
  /** Seeded by the run's seed and the round; everything random comes from it. */
  readonly random: Random;
  /** A folder of the round's own, removed at its end unless the round failed. */
  readonly directory: string;
  /** Where the first process keeps its state. */
  readonly stateDirectory: string;
  /** The stack itself, past every proxy. */
  readonly endpoints: Endpoints;
  readonly stack: StackControl;

  /** The names that are in force: those of the current pipeline file. */
  readonly names: {
    pipeline: string;
    group: string;
    topic: string;
    /** Tables in namespace `lake`. */
    events: string;
    deadLetter: string;
    dimensionTopics: Readonly<Record<string, string>>;
    notificationTopic: string;
  };
  readonly pipelineFile: string;
  /** Changes the pipeline file for every later start, command and proof. */
  configure: (edit: (config: PipelineYaml) => void) => Promise<void>;
  /** A copy of the pipeline file with a change; gives its path. */
  variant: (edit: (config: PipelineYaml) => void) => Promise<string>;

  /** The proxy of every process that is not given another one. */
  readonly proxy: FaultProxy;
  openProxy: () => Promise<FaultProxy>;
  readonly requests: Requests;
  /** Arms a rule of this action on the round's proxy. */
  arm: (rule: Rule) => ArmedRule;
  /**
   * Holds one request at a stage, runs the action, lets the request go on unless the action gives 'drop'; resolves
   * after the action.
   */
  strike: (
    rule: Omit<Rule, 'action'> & { proxy?: FaultProxy },
    action: () => unknown,
  ) => Promise<void>;
  /** Waits until a rule has struck that often, once by default; a pipeline that ends before it is an error. */
  struck: (rule: ArmedRule, times?: number) => Promise<void>;

  /** `./tributary run` through a proxy; resolves at once. */
  start: (wish?: StartWish) => Promise<Pipeline>;
  /** The same; resolves once it is ready and its first commit has landed. */
  startCommitting: (wish?: StartWish) => Promise<Pipeline>;
  pipelines: () => readonly Pipeline[];
  /** Waits for its end, which must be with this code and this text in its output. */
  mustStop: (pipeline: Pipeline, end: { code: number; says: RegExp }) => Promise<void>;
  /** Any command with the round's pipeline file and the stack's own addresses. */
  run: (args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Finished>;
  must: (...args: string[]) => Promise<Finished>;
  startCommand: (args: readonly string[], env?: Readonly<Record<string, string>>) => Command;

  readonly load: Load;
  /** The ledger of what was produced, a file. */
  readonly ledger: () => string;
  /** From the next `load.resume` on another ledger: for a topic that was made anew. */
  newLedger: () => string;

  metadata: (table?: TableName) => Promise<TableMetadata | undefined>;
  /** The committed position of the pipeline that is configured. */
  position: () => Promise<ReadonlyMap<number, bigint>>;
  /** Offsets that it has committed, of all partitions. */
  committed: () => Promise<number>;
  /** Records of the topic that are not committed. */
  lag: () => Promise<bigint>;
  /** Waits until the position has moved; a pipeline that ends before it is an error. */
  nextCommit: (waitMsMax?: number) => Promise<void>;
  /** Waits until every record is committed, rejects and all. */
  caughtUp: (waitMsMax?: number) => Promise<void>;
  /** Fails when a pipeline has ended that nobody stopped. */
  mustBeAlive: () => void;
  until: (
    what: string,
    holds: () => Promise<boolean> | boolean,
    waitMsMax?: number,
  ) => Promise<void>;
  sleep: (ms: number) => Promise<void>;

  readonly admin: Admin;
  /** Closed with the round. */
  openProducer: () => Promise<RecordProducer>;
  readonly catalog: Catalog;
  /** Needs `trino`. Tables are in lake.lake. */
  readonly trino: Trino;
  /** The source as its owner; needs `postgres`. */
  database: () => Promise<Client>;
  prove: (wish?: ProofWish) => Promise<Proof>;
  /** One line of progress. */
  say: (line: string) => void;
};
