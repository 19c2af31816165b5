import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { inspectRecord } from '../enrich/dead-letters/inspect-record.ts';
import type { Inspection } from '../enrich/dead-letters/inspect-record.ts';
import { createJudge } from '../enrich/dead-letters/judge-record.ts';
import {
  countDeadLetters,
  readDeadLetters,
  readRawDeadLetters,
} from '../enrich/dead-letters/read-dead-letters.ts';
import type { DeadLetterFilter, RawDeadLetter } from '../enrich/dead-letters/read-dead-letters.ts';
import { marksTopic, readMarks } from '../enrich/dead-letters/replay-marks.ts';
import type { ReplayMarks } from '../enrich/dead-letters/replay-marks.ts';
import { openReplayProducer } from '../enrich/dead-letters/replay-producer.ts';
import { DEAD_LETTER_KINDS } from '../enrich/dead-letters/remedy.ts';
import { replay } from '../enrich/dead-letters/replay.ts';
import type { ReplayReport } from '../enrich/dead-letters/replay.ts';
import { summarise } from '../enrich/dead-letters/summarise.ts';
import { EnrichError } from '../enrich/error.ts';
import { judgeWriters } from '../enrich/pipeline/judge-writer.ts';
import { isUnavailable } from '../enrich/pipeline/retry.ts';
import { openKafkajsProducer } from '../enrich/source/kafkajs-producer.ts';
import { jsonText, renderLetter, renderReplay, renderSummary } from './dlq-text.ts';
import { systemClock } from './environment.ts';
import { openToolLog } from './lag.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { assertAnswers, look, lookAtCatalog } from './look.ts';
import { kafkajsSecurity, openCatalog, openSchemaRegistry, openTableStore } from './open-lake.ts';
import { occasionally, terminal } from './terminal.ts';

type FilterOptions = {
  kind?: string;
  topic?: string;
  partition?: number;
  schemaId?: number;
  since?: bigint;
  until?: bigint;
};
type JsonOptions = ConfigOptions & { json?: boolean };

const EXAMPLES = `
Examples:
  $ tributary dlq list --since 1d                      what was refused since yesterday, by kind
  $ tributary dlq list --kind unknown-schema-id --limit 100
  $ tributary dlq show clicks/3/1184                   one record: its bytes, the error, what to do
  $ tributary dlq replay --kind contract-violation --dry-run
  $ tributary dlq replay --since 2026-11-22T06:00Z     what can become a row by now, once each`;

export function addDlqCommands(program: Command): void {
  const dlq = program
    .command('dlq')
    .description('dead letters: the records that could not become rows')
    .addHelpText('after', EXAMPLES);
  withFilters(dlq.command('list'))
    .description('count dead letters by kind, and list the newest')
    .option('--limit <n>', 'how many to list', whole, 20)
    .option('--json', 'print JSON')
    .action((_options, command: Command) => list(command.optsWithGlobals()));
  dlq
    .command('show')
    .argument('<record>', 'TOPIC/PARTITION/OFFSET, such as clicks/3/1184', parsePlace)
    .description('one dead letter: bytes, error, what to do')
    .option('--json', 'print JSON')
    .action((place: Place, _options, command: Command) => show(place, command.optsWithGlobals()));
  withFilters(dlq.command('replay'))
    .description('send the records that can become rows by now back to the stream, each once')
    .option('--dry-run', 'say what would be sent, and send nothing')
    .option('--json', 'print JSON')
    .action((_options, command: Command) => replayLetters(command.optsWithGlobals()));
}

function withFilters(command: Command): Command {
  return command
    .addOption(new Option('--kind <kind>', 'of this error kind alone').choices(DEAD_LETTER_KINDS))
    .option('--topic <topic>', 'of this topic alone')
    .option('--partition <n>', 'of this partition alone', whole)
    .option('--schema-id <id>', 'that name this schema id alone', whole)
    .option(
      '--since <time>',
      'refused since: a time such as 2026-11-22T06:00Z, or 90m, 6h, 2d',
      time,
    )
    .option('--until <time>', 'refused before: likewise', time);
}

function whole(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number.');
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A moment, in µs since the epoch, or how long ago it was. */
function time(text: string): bigint {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? [];
  const ago = count === undefined ? undefined : Number(count) * (UNIT_MS[unit] ?? 0);
  const ms = ago === undefined ? Date.parse(text) : systemClock.nowMs() - ago;
  if (Number.isFinite(ms)) return BigInt(Math.trunc(ms)) * 1000n;
  throw new InvalidArgumentError('expected a time such as 2026-11-22T06:00Z, or 90m, 6h, 2d ago.');
}

function filterOf(options: FilterOptions): DeadLetterFilter {
  const { kind, topic, partition, schemaId, since, until } = options;
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(topic === undefined ? {} : { topic }),
    ...(partition === undefined ? {} : { partition }),
    ...(schemaId === undefined ? {} : { schemaId }),
    ...(since === undefined ? {} : { sinceUs: since }),
    ...(until === undefined ? {} : { untilUs: until }),
  };
}

type Table = { metadata: TableMetadata; store: ObjectStore; close: () => void };

/** Errors: `unavailable` where there is no table yet. */
async function openDeadLetterTable(config: PipelineConfig): Promise<Table> {
  const { namespace, deadLetterName: name } = config.table;
  const metadata = await findTable(config, name);
  if (metadata === undefined) {
    const table = [...namespace, name].join('.');
    const message = `table ${table} does not exist yet; "tributary run" makes it`;
    throw new EnrichError('unavailable', message);
  }
  const { endpoint } = config.storage;
  if (endpoint !== undefined) await assertAnswers(`S3 at ${endpoint}`, endpoint);
  return { metadata, ...openTableStore(config, metadata.location) };
}

async function findTable(config: PipelineConfig, name: string): Promise<TableMetadata | undefined> {
  const find = async (): Promise<TableMetadata | undefined> => {
    const catalog = await openCatalog(config, { look: true });
    return (await catalog.loadTable({ namespace: config.table.namespace, name }))?.metadata;
  };
  return lookAtCatalog(config, find());
}

/** What was replayed. Errors: `unavailable`. */
async function loadMarks(config: PipelineConfig, mustExist = false): Promise<ReplayMarks> {
  const log = await look(`Kafka at ${config.kafka.brokers.join(', ')}`, openToolLog(config));
  try {
    return await readMarks(log, marksTopic(config.pipeline), { clock: systemClock, mustExist });
  } finally {
    await log.close();
  }
}

/** For commands that only look: without Kafka they say so and show the rest. */
async function marksIfAny(config: PipelineConfig): Promise<ReplayMarks | undefined> {
  try {
    return await loadMarks(config);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    terminal.progress('Kafka is away: which records were replayed is not shown');
    return undefined;
  }
}

async function list(options: JsonOptions & FilterOptions & { limit: number }): Promise<void> {
  const { config } = await loadConfig(options);
  const { metadata, store, close } = await openDeadLetterTable(config);
  try {
    const marks = await marksIfAny(config);
    const summary = await summarise(
      readDeadLetters({ store, metadata, filter: filterOf(options) }),
      (letter) => marks?.has(letter) === true,
      options.limit,
    );
    const all = countDeadLetters(metadata);
    terminal.print(options.json === true ? jsonText(summary) : renderSummary(summary, all));
  } finally {
    close();
  }
}

async function show(filter: Place, options: JsonOptions): Promise<void> {
  const { config } = await loadConfig(options);
  const { metadata, store, close } = await openDeadLetterTable(config);
  try {
    const found: RawDeadLetter[] = [];
    for await (const letters of readRawDeadLetters({ store, metadata, filter })) {
      found.push(...letters);
    }
    if (found.length === 0) throw await noDeadLetter(config, filter);
    const marks = await marksIfAny(config);
    for (const letter of found) {
      const inspection = await inspect(config, letter);
      const shown = { letter, replayed: marks?.has(letter) === true, inspection };
      const isStream = letter.topic === config.stream.topic;
      terminal.print(
        options.json === true ? jsonText(shown) : renderLetter({ ...shown, isStream }),
      );
    }
  } finally {
    close();
  }
}

type Place = { topic: string; partition: number; offset: bigint };

function parsePlace(record: string): Place {
  const [, topic, partition, offset] = /^([^/]+)\/(\d+)\/(\d+)$/.exec(record) ?? [];
  if (topic !== undefined && offset !== undefined) {
    return { topic, partition: Number(partition), offset: BigInt(offset) };
  }
  throw new InvalidArgumentError('expected TOPIC/PARTITION/OFFSET, such as clicks/3/1184.');
}

/** Why there is no such dead letter, as far as pipeline.yaml and Kafka tell. */
async function noDeadLetter(config: PipelineConfig, place: Place): Promise<EnrichError> {
  const { topic, partition, offset } = place;
  const topics = [config.stream.topic, ...config.dimensions.map((dimension) => dimension.topic)];
  const why = topics.includes(topic)
    ? await whyInTopic(config, place)
    : `the pipeline has no topic "${topic}"; its topics are ${topics.join(', ')}`;
  return new EnrichError(
    'unavailable',
    `${topic}/${partition}/${offset} is no dead letter: ${why}`,
  );
}

async function whyInTopic(config: PipelineConfig, place: Place): Promise<string> {
  const { topic, partition, offset } = place;
  const became = topic === config.stream.topic ? 'became a row' : 'was applied';
  const otherwise = `the record ${became}, or is not committed yet`;
  const read = async () => {
    const log = await openToolLog(config);
    try {
      const isThere = (await log.describeTopic(topic)) !== undefined;
      return isThere ? await log.bounds(topic) : undefined;
    } finally {
      await log.close();
    }
  };
  try {
    const bounds = await look(`Kafka at ${config.kafka.brokers.join(', ')}`, read());
    if (bounds === undefined) return `this Kafka has no topic ${topic}`;
    const bound = bounds.get(partition);
    if (bound === undefined) return `topic ${topic} has ${bounds.size} partitions, from 0 on`;
    return offset < bound.endOffset ? otherwise : `the partition ends at ${bound.endOffset}`;
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return otherwise;
  }
}

/** How far the value fits the schema that it names, where the registry has that one. */
async function inspect(
  config: PipelineConfig,
  { value, schemaId }: RawDeadLetter,
): Promise<Inspection | undefined> {
  if (value === null || schemaId === undefined) return undefined;
  try {
    const schema = await look(
      `the schema registry at ${config.registry.url}`,
      openSchemaRegistry(config).schemaById(schemaId),
    );
    return schema === 'unknown' ? undefined : inspectRecord(value, schema);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    terminal.progress('the schema registry is away: the record is shown as bytes only');
    return undefined;
  }
}

async function replayLetters(
  options: JsonOptions & FilterOptions & { dryRun?: boolean },
): Promise<void> {
  const loaded = await loadConfig(options);
  const { config } = loaded;
  const { metadata, store, close } = await openDeadLetterTable(config);
  try {
    const files = readRawDeadLetters({ store, metadata, filter: filterOf(options) });
    const dryRun = options.dryRun === true;
    const all = countDeadLetters(metadata);
    const report = dryRun
      ? await replay({ ...(await judged(loaded)), files, marks: await loadMarks(config) })
      : await send(loaded, files);
    terminal.print(
      options.json === true ? jsonText(report) : renderReplay(report, { dryRun, all }),
    );
  } finally {
    close();
  }
}

async function judged({ config, contracts }: LoadedConfig) {
  const metadata = await findTable(config, config.table.name);
  const problemOf = createJudge({
    registry: openSchemaRegistry(config),
    contract: contracts.stream,
    judge: judgeWriters({ config, contracts, metadata }),
    streamTopic: config.stream.topic,
    elapsedMs: systemClock.elapsedMs,
  });
  return { problemOf };
}

/** The marks are read once the producer is open: nobody else adds any from then on. */
async function send(
  loaded: LoadedConfig,
  files: AsyncIterable<readonly RawDeadLetter[]>,
): Promise<ReplayReport> {
  const { config } = loaded;
  const { brokers, clientId } = config.kafka;
  const security = kafkajsSecurity(config);
  const producer = await openReplayProducer({
    open: (transactionalId) =>
      openKafkajsProducer({ brokers, security, clientId, transactionalId }),
    pipeline: config.pipeline,
    streamTopic: config.stream.topic,
    nowMs: systemClock.nowMs,
  });
  const progress = occasionally(2_000, systemClock.nowMs);
  try {
    return await replay({
      ...(await judged(loaded)),
      files,
      marks: await loadMarks(config, true),
      send: (batch) => producer.send(batch),
      batchBytesMax: producer.batchBytesMax,
      onSent: (count) => progress(`${count} records sent`),
    });
  } finally {
    await producer.close();
  }
}
