import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { environment } from '../cli/environment.ts';
import { stackRunDirectory } from '../cli/stack-addresses.ts';

/** What the user's own pipeline listens on, unless its variable says otherwise. */
const PIPELINE_HTTP_PORT = 18_099;

/** What a bench's pipeline has of its own. */
export type PipelineNames = {
  /** Of the pipeline and its group. */
  name: string;
  streamTopic: string;
  /** Dimension topics are `<base>.<dimension>`, notifications `<base>-notifications`. */
  dimensionBase: string;
  table: string;
  stateDirectory: string;
  /** Threads that take clicks; 1 unless given. */
  workers?: number;
};

/** Where benches keep pipeline files, logs and states: with the data of the stack, and gone with it. */
export function benchDirectory(): string {
  return join(stackRunDirectory(environment()), 'bench');
}

/**
 * Writes pipeline.yaml as shipped, with these names, and the port below that of the user's own pipeline;
 * BENCH_STATE_DIRECTORY and BENCH_HTTP_PORT go before.
 */
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
  const port = Number(environment()['HTTP_PORT'] ?? PIPELINE_HTTP_PORT) - 1;
  config.http.port = `\${BENCH_HTTP_PORT:-${port}}`;
  await writeFile(file, stringify(config));
}
