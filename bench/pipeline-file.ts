import { readFile, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';

/** What a bench's pipeline has of its own. */
export type PipelineNames = {
  /** Of the pipeline and its group. */
  name: string;
  streamTopic: string;
  /** Dimension topics are `<base>.<dimension>`, notifications `<base>-notifications`. */
  dimensionBase: string;
  table: string;
  stateDirectory: string;
  httpPort: number;
  /** Threads that take clicks; 1 unless given. */
  workers?: number;
};

/** Writes pipeline.yaml as shipped, with these names; BENCH_STATE_DIRECTORY and HTTP_PORT go before the last two. */
export async function writePipelineFile(file: string, names: PipelineNames): Promise<void> {
  const config = parse(await readFile('pipeline.yaml', 'utf8'));
  config.pipeline = names.name;
  config.kafka.group = names.name;
  config.stream.topic = names.streamTopic;
  for (const dimension of config.dimensions) {
    dimension.topic = `${names.dimensionBase}.${dimension.name}`;
  }
  config.readiness.notification_topic = `${names.dimensionBase}-notifications`;
  config.table.name = names.table;
  config.table.dead_letter = `${names.table}_dead_letter`;
  config.state.directory = `\${BENCH_STATE_DIRECTORY:-${names.stateDirectory}}`;
  if (names.workers !== undefined && names.workers > 1) config.workers = names.workers;
  config.http.port = `\${HTTP_PORT:-${names.httpPort}}`;
  await writeFile(file, stringify(config));
}
