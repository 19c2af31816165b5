import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asPipeline, freePort, startCommand } from '../pipeline/command.ts';
import type { Command, Environment, Finished, Pipeline } from '../pipeline/command.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { FaultProxy } from './proxy.ts';
import type { Round, StartWish } from './round.ts';
import { sourceUrl } from './source.ts';

/** A command that is still at work after this is killed. */
const commandMsMax = 120_000;
const stopMsMax = 60_000;

type ForRound = Pick<
  Round,
  'start' | 'pipelines' | 'mustStop' | 'run' | 'must' | 'startCommand' | 'mustBeAlive'
>;

export type Processes = {
  forRound: ForRound;
  stateDirectory: string;
  killAll: () => Promise<void>;
  /** What the pipelines have printed, into the round's folder. */
  writeLogs: () => Promise<void>;
};

/** Starts processes of the product: pipelines through a proxy, all other commands past it. */
export function openProcesses(options: {
  files: Pick<Round, 'directory' | 'pipelineFile'>;
  proxy: FaultProxy;
  endpoints: Endpoints;
}): Processes {
  const { files, proxy, endpoints } = options;
  const running = new Map<Command, Pipeline | undefined>();
  const all: Pipeline[] = [];
  const stateDirectory = join(files.directory, 'state');
  const base: Environment = {
    ...addressesOf(endpoints),
    COMMIT_INTERVAL: '1s',
    STATE_DIRECTORY: stateDirectory,
    HTTP_PORT: '0',
  };
  const configured = ['--config', files.pipelineFile];
  const track = <T extends Command>(command: T, pipeline?: Pipeline): T => {
    running.set(command, pipeline);
    void command.ended.then(() => running.delete(command));
    return command;
  };
  const run = async (args: readonly string[], env: Environment = {}): Promise<Finished> => {
    const command = track(startCommand([...configured, ...args], { ...base, ...env }));
    const hung = setTimeout(() => void command.stop('SIGKILL'), commandMsMax);
    const code = await command.ended;
    clearTimeout(hung);
    return { code, stdout: command.stdout(), output: command.output() };
  };
  const start = async (wish: StartWish = {}): Promise<Pipeline> => {
    const { state, flags = [], env = {}, config = files.pipelineFile } = wish;
    const port = String(await freePort());
    const own = {
      STATE_DIRECTORY: state === undefined ? stateDirectory : join(files.directory, state),
    };
    const through = (wish.proxy ?? proxy).env;
    const command = startCommand(['--config', config, 'run', ...flags], {
      ...base,
      ...own,
      HTTP_PORT: port,
      ...through,
      ...env,
    });
    const pipeline = asPipeline(command, `http://127.0.0.1:${port}`);
    all.push(pipeline);
    track(command, pipeline);
    return pipeline;
  };
  const forRound: ForRound = {
    start,
    run,
    must: async (...args) => {
      const finished = await run(args);
      if (finished.code === 0) return finished;
      throw new Error(
        `tributary ${args.join(' ')} ended with ${finished.code}\n${finished.output}`,
      );
    },
    startCommand: (args, env = {}) =>
      track(startCommand([...configured, ...args], { ...base, ...env })),
    pipelines: () => [...running.values()].filter((pipeline) => pipeline !== undefined),
    mustBeAlive: () => {
      for (const pipeline of all) pipeline.mustBeAlive();
    },
    mustStop: (pipeline, end) => mustStop(pipeline, end),
  };
  return {
    forRound,
    stateDirectory,
    writeLogs: async () => {
      for (const [i, pipeline] of all.entries()) {
        await writeFile(join(files.directory, `pipeline-${i + 1}.log`), pipeline.output());
      }
    },
    killAll: async () => {
      await Promise.all([...running.keys()].map((command) => command.stop('SIGKILL')));
    },
  };
}

/** The addresses of the stack, as pipeline.yaml, connectors.yaml and the commands read them. */
function addressesOf(endpoints: Endpoints): Environment {
  return {
    KAFKA_BROKERS: endpoints.kafkaBrokers.join(','),
    SCHEMA_REGISTRY_URL: endpoints.registryUrl,
    CATALOG_URI: endpoints.catalogUri,
    S3_ENDPOINT: endpoints.s3Endpoint,
    S3_ACCESS_KEY_ID: endpoints.s3AccessKeyId,
    S3_SECRET_ACCESS_KEY: endpoints.s3SecretAccessKey,
    CONNECT_URL: endpoints.connectUrl,
    CONNECT_REGISTRY_URL: endpoints.registryUrl,
    DATABASE_PORT: String(endpoints.postgresPort),
    POSTGRES_URL: sourceUrl,
    TRINO_URL: endpoints.trinoUrl,
  };
}

async function mustStop(
  pipeline: Pipeline,
  { code, says }: { code: number; says: RegExp },
): Promise<void> {
  const late = AbortSignal.timeout(stopMsMax);
  const tooLate = new Promise<'still running'>((resolve) => {
    late.addEventListener('abort', () => resolve('still running'));
  });
  const end = await Promise.race([pipeline.ended, tooLate]);
  // From here on its end is no surprise to `mustBeAlive`.
  await pipeline.stop('SIGKILL');
  const output = pipeline.output();
  if (end === code && says.test(output)) return;
  const last = output.split('\n').slice(-12).join('\n');
  throw new Error(`expected end ${code} saying ${String(says)}, got ${end}:\n${last}`);
}
