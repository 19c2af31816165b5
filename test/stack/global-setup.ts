import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readInstance } from '../../stack/instance.ts';
import { portDefaults, type PortName, portVariable, readPorts } from '../../stack/ports.ts';
import { repository } from './compose-file.ts';

/** The tests' stack stands beside the user's: its own data, its own ports. */
const instance = 'test';
const standardOffset = '1000';

/**
 * Starts a stack for the whole suite, empty, and returns what removes it. With TRIBUTARY_TEST_STACK=reuse the suite
 * takes the running stack that the TRIBUTARY_*_PORT variables name (by default the user's) and leaves it running.
 */
export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['TRIBUTARY_TEST_STACK'] === 'reuse') return undefined;
  const offset = process.env['TRIBUTARY_TEST_PORT_OFFSET'] ?? standardOffset;
  const ports = readPorts({ TRIBUTARY_PORT_OFFSET: offset });
  for (const name of Object.keys(portDefaults) as PortName[]) {
    process.env[portVariable(name)] = String(ports[name]);
  }
  process.env['TRIBUTARY_STACK_INSTANCE'] = instance;
  const owner = `${readInstance(process.env).run}.owner`;
  await claim(owner);
  const tearDown = async (): Promise<void> => {
    await launch('down', '--wipe');
    await rm(owner);
  };
  // What a killed run has left behind.
  await launch('down', '--wipe');
  try {
    await launch('up');
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}

/** Two suites at once would wipe each other's stack: the second one is refused. */
async function claim(owner: string): Promise<void> {
  const pid = Number(await readFile(owner, 'utf8').catch(() => '0'));
  if (pid > 0 && pid !== process.pid && isAlive(pid)) {
    throw new Error(
      `process ${pid} is running the stack tests: wait for it, or set TRIBUTARY_TEST_STACK=reuse`,
    );
  }
  await mkdir(dirname(owner), { recursive: true });
  await writeFile(owner, String(process.pid));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Runs the launcher as a user would, with its output in ours. */
function launch(...args: string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(process.execPath, [join(repository, 'stack/main.ts'), ...args], {
    stdio: 'inherit',
  });
  child.once('error', reject);
  child.once('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`stack/main.ts ${args.join(' ')} ended with ${code}`));
  });
  return promise;
}
