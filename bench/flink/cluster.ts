import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../cli/environment.ts';
import type { Flink } from './fetch.ts';

const run = promisify(execFile);

export type Backend = 'rocksdb' | 'hashmap';

export type ClusterOptions = {
  flink: Flink;
  /** For configuration, logs, state and checkpoints; removed with `stop`, but for the logs. */
  folder: string;
  backend: Backend;
  /** Of the task manager's process, in MiB. */
  memoryMiB: number;
  slots: number;
  checkpointSeconds: number;
};

/** A vertex of a job's graph, with what it has taken in and given out. */
type Vertex = { name: string; taken: number; given: number };

export type FlinkCluster = {
  taskManagerPid: number;
  jobManagerPid: number;
  /** Runs SQL statements, one of which starts a job; gives its id. */
  submit(statements: string): Promise<string>;
  vertices(jobId: string): Promise<Vertex[]>;
  /** Errors: Error for a job that has failed. */
  assertRuns(jobId: string): Promise<void>;
  stop(): Promise<void>;
};

const HOST = '127.0.0.1';
const REST_PORT = 18_123;
const START_MS_MAX = 120_000;
const POLL_MS = 500;
const STOP_MS_MAX = 20_000;
const OPTIONS = `@${join(import.meta.dirname, 'jvm-options')}`;
const SMALL_HEAP = '-Xmx448m';

/** Java 17 to 21: Hadoop's classes need the security manager that 24 took out. */
const JAVA_MAJORS = [17, 21] as const;

/** Starts a job manager and a task manager. Errors: Error that says what is missing, or where the log is. */
export async function startCluster(options: ClusterOptions): Promise<FlinkCluster> {
  const { flink, folder: name } = options;
  const folder = resolve(name);
  const conf = join(folder, 'conf');
  const java = await findJava();
  await mkdir(conf, { recursive: true });
  await writeFile(join(conf, 'config.yaml'), configurationOf(options, folder));
  const [lib, connectors] = [join(flink.home, 'lib/*'), join(flink.connectors, '*')];
  const classPath = [lib, connectors].join(':');
  const env = {
    ...process.env,
    FLINK_PLUGINS_DIR: join(flink.home, 'plugins'),
    AWS_REGION: 'us-east-1',
  };
  const processes: ChildProcess[] = [];
  const start = async (role: string, args: readonly string[]): Promise<number> => {
    const log = await open(join(folder, `${role}.log`), 'a');
    const child = spawn(java, [OPTIONS, ...args], { env, stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    processes.push(child);
    process.once('exit', () => child.kill('SIGKILL'));
    if (child.pid === undefined) throw new Error(`${java} could not be started`);
    return child.pid;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map(end));
    for (const part of ['checkpoints', 'tmp']) {
      await rm(join(folder, part), { recursive: true, force: true });
    }
  };
  try {
    const jobManagerPid = await start('job-manager', [
      SMALL_HEAP,
      '-cp',
      classPath,
      'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint',
      '--configDir',
      conf,
    ]);
    const memory = await memoryParameters(java, flink, conf);
    const taskManagerPid = await start('task-manager', [
      ...memory.jvm,
      '-XX:+UseG1GC',
      '-cp',
      classPath,
      'org.apache.flink.runtime.taskexecutor.TaskManagerRunner',
      '--configDir',
      conf,
      ...memory.settings,
    ]);
    await untilSlots(options.slots, folder);
    return {
      taskManagerPid,
      jobManagerPid,
      submit: (statements) => submit({ java, classPath, conf, folder, env, statements }),
      vertices,
      assertRuns,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configurationOf(options: ClusterOptions, folder: string): string {
  const { backend, memoryMiB, slots, checkpointSeconds } = options;
  // RocksDB lives in managed memory; the heap backend needs little of it.
  const managedMiB = backend === 'rocksdb' ? Math.floor(memoryMiB * 0.45) : 128;
  const settings = {
    'jobmanager.rpc.address': HOST,
    'jobmanager.rpc.port': REST_PORT - 2,
    'jobmanager.bind-host': HOST,
    'blob.server.port': REST_PORT - 1,
    'jobmanager.memory.process.size': '1024m',
    'rest.address': HOST,
    'rest.bind-address': HOST,
    'rest.port': REST_PORT,
    'taskmanager.host': HOST,
    'taskmanager.bind-host': HOST,
    'taskmanager.numberOfTaskSlots': slots,
    'taskmanager.memory.process.size': `${memoryMiB}m`,
    'taskmanager.memory.managed.size': `${managedMiB}m`,
    'parallelism.default': slots,
    'pipeline.object-reuse': true,
    'state.backend.type': backend,
    'execution.checkpointing.interval': `${checkpointSeconds}s`,
    'execution.checkpointing.mode': 'EXACTLY_ONCE',
    'execution.checkpointing.incremental': backend === 'rocksdb',
    'execution.checkpointing.dir': `file://${join(folder, 'checkpoints')}`,
    'execution.target': 'remote',
    'io.tmp.dirs': join(folder, 'tmp'),
    'heartbeat.timeout': 60_000,
    'metrics.fetcher.update-interval': 1_000,
    'restart-strategy.type': 'none',
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

/** As `JAVA17_HOME` or PATH has it. */
async function findJava(): Promise<string> {
  const home = process.env['JAVA17_HOME'];
  const java = home === undefined ? 'java' : join(home, 'bin/java');
  const said = await run(java, ['-version']).catch(() => ({ stderr: '' }));
  const major = Number(/version "(\d+)/.exec(said.stderr)?.[1] ?? 0);
  if (major >= JAVA_MAJORS[0] && major <= JAVA_MAJORS[1]) return java;
  throw new Error('Flink runs on Java 17 to 21: install one and set JAVA17_HOME to its folder');
}

/** Flink's own sums: two lines, flags of the JVM and settings of the task manager. */
async function memoryParameters(java: string, flink: Flink, conf: string) {
  const jars = [join(flink.home, 'bin/bash-java-utils.jar'), join(flink.home, 'lib/*')].join(':');
  const main = 'org.apache.flink.runtime.util.bash.BashJavaUtils';
  const args = ['-cp', jars, main, 'GET_TM_RESOURCE_PARAMS', '--configDir', conf];
  const { stdout } = await run(java, args);
  const [jvm = '', settings = ''] = stdout
    .split('\n')
    .filter((line) => line.startsWith('BASH_JAVA_UTILS_EXEC_RESULT:'))
    .map((line) => line.slice(line.indexOf(':') + 1));
  return { jvm: jvm.trim().split(/\s+/), settings: settings.trim().split(/\s+/) };
}

async function untilSlots(slots: number, folder: string): Promise<void> {
  const deadlineMs = systemClock.nowMs() + START_MS_MAX;
  while (systemClock.nowMs() < deadlineMs) {
    const overview = await ask<{ 'slots-available': number }>('/overview').catch(() => undefined);
    if ((overview?.['slots-available'] ?? 0) >= slots) return;
    await systemClock.sleep(POLL_MS);
  }
  throw new Error(`Flink did not come up; its logs are in ${folder}`);
}

async function submit(options: {
  java: string;
  classPath: string;
  conf: string;
  folder: string;
  env: NodeJS.ProcessEnv;
  statements: string;
}): Promise<string> {
  const { java, classPath, conf, folder, env, statements } = options;
  const file = join(folder, 'statements.sql');
  await writeFile(file, statements);
  const main = join(import.meta.dirname, 'RunStatements.java');
  const args = [OPTIONS, SMALL_HEAP, '-cp', classPath, main, conf, file];
  const { stdout } = await run(java, args, { env });
  const jobId = /^job (\w+)$/m.exec(stdout)?.[1];
  if (jobId === undefined) throw new Error(`the statements in ${file} have started no job`);
  return jobId;
}

type JobAnswer = {
  state: string;
  vertices: { name: string; metrics: { 'read-records': number; 'write-records': number } }[];
};

async function vertices(jobId: string): Promise<Vertex[]> {
  const answer = await ask<JobAnswer>(`/jobs/${jobId}`);
  return answer.vertices.map(({ name, metrics }) => ({
    name,
    taken: metrics['read-records'],
    given: metrics['write-records'],
  }));
}

async function assertRuns(jobId: string): Promise<void> {
  const { state } = await ask<JobAnswer>(`/jobs/${jobId}`);
  if (state !== 'RUNNING') throw new Error(`Flink's job is ${state}: see the job manager's log`);
}

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`http://${HOST}:${REST_PORT}${path}`);
  if (!response.ok) throw new Error(`Flink answered ${response.status} to ${path}`);
  return (await response.json()) as T;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolveEnd) => child.once('exit', resolveEnd));
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(kill);
}
