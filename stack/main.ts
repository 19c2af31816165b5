import { parseArgs } from 'node:util';
import { type ComponentName, componentNames } from './components.ts';
import { fetchModules } from './fetch.ts';
import { type Instance, readInstance } from './instance.ts';
import { findJdk } from './java.ts';
import {
  findConflicts,
  findMissing,
  readLogEnd,
  selectComponents,
  startComponents,
  stopComponents,
  wipe,
} from './launch.ts';
import { findPostgres } from './postgres/find.ts';
import { findRunning } from './processes.ts';

const usage = `usage: node stack/main.ts up|down|status|logs [component...]

  up      fetch what is missing, start, wait until every component answers
  down    stop, the last started first; --wipe also removes the instance's data
  status  what runs, and where
  logs    the last lines that each component printed

components: ${componentNames.join(', ')}`;

const commands: readonly string[] = ['up', 'down', 'status', 'logs'];

const env = process.env;

/** A wrong word on the command line, which ends with code 2. */
class UsageError extends Error {
  constructor(message: string) {
    super(message === '' ? usage : `${message}\n${usage}`);
    this.name = 'UsageError';
  }
}

// A reader that goes away (`| head`) must not stop a start half-way.
process.stdout.on('error', () => undefined);

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function up(instance: Instance, names: readonly ComponentName[]): Promise<void> {
  const selected = selectComponents(names);
  const missing = await findMissing(instance, selected, print);
  if (missing.length === 0) return;
  const conflicts = await findConflicts(instance, missing);
  if (conflicts.length > 0) throw new Error(conflicts.join('\n'));
  const jdk = await findJdk(env);
  await fetchModules({ instance, jdk, env, print }, [
    ...new Set(missing.flatMap(({ modules }) => modules)),
  ]);
  const postgres = await findPostgres(instance, env, print);
  await startComponents({ instance, jdk, postgres, env }, missing, print);
}

async function status(instance: Instance, names: readonly ComponentName[]): Promise<void> {
  for (const { name, ports } of selectComponents(names)) {
    const pid = await findRunning(instance, name);
    const where = ports.map((port) => `127.0.0.1:${instance.ports[port]}`).join(' ');
    const state = pid === undefined ? 'stopped' : `running  process ${pid}`;
    print(`${name.padEnd(10)}${state.padEnd(26)}${where}`);
    if (pid === undefined) process.exitCode = 1;
  }
}

async function logs(instance: Instance, names: readonly ComponentName[]): Promise<void> {
  const chosen = names.length === 0 ? componentNames : names;
  for (const name of chosen) print(await readLogEnd(instance, name, 50));
}

async function down(
  instance: Instance,
  names: readonly ComponentName[],
  all: boolean,
): Promise<void> {
  const selected = selectComponents([]).filter(
    ({ name }) => names.length === 0 || names.includes(name),
  );
  await stopComponents(instance, selected, print);
  if (all) await wipe(instance);
}

function readNames(words: readonly string[]): ComponentName[] {
  const known = new Set<string>(componentNames);
  const unknown = words.filter((word) => !known.has(word));
  if (unknown.length > 0) throw new UsageError(`no component '${unknown.join("', '")}'`);
  return words as ComponentName[];
}

function readArguments(): { command: string; words: readonly string[]; wipe: boolean } {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { wipe: { type: 'boolean', default: false } },
    });
    const [command = '', ...words] = positionals;
    return { command, words, wipe: values.wipe };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function main(): Promise<void> {
  const { command, words, wipe: all } = readArguments();
  if (!commands.includes(command)) {
    throw new UsageError(command === '' ? '' : `no command '${command}'`);
  }
  const names = readNames(words);
  if (all && command !== 'down') throw new UsageError(`--wipe belongs to 'down'`);
  if (all && names.length > 0) throw new UsageError('--wipe takes no component names');
  const instance = readInstance(env);
  switch (command) {
    case 'up':
      return up(instance, names);
    case 'down':
      return down(instance, names, all);
    case 'status':
      return status(instance, names);
    default:
      return logs(instance, names);
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
