import type { Component, ComponentName } from '../../stack/components.ts';
import { type Instance, readInstance } from '../../stack/instance.ts';
import { findJdk } from '../../stack/java.ts';
import { selectComponents, startComponents } from '../../stack/launch.ts';
import { findPostgres } from '../../stack/postgres/find.ts';
import { findRunning, stopProcess } from '../../stack/processes.ts';
import type { StackControl } from './round.ts';

/** Stops and starts single components of the instance that the environment names; it must be up. */
export function controlStack(env: NodeJS.ProcessEnv, say: (line: string) => void): StackControl {
  const instance = readInstance(env);
  const stop = async (name: ComponentName, signal?: NodeJS.Signals): Promise<void> => {
    const { stopSignal = 'SIGTERM' } = componentOf(name);
    await stopProcess(instance, name, { signal: signal ?? stopSignal });
    say(`${name} is stopped`);
  };
  const start = async (name: ComponentName): Promise<void> => {
    if ((await findRunning(instance, name)) !== undefined) return;
    await startOne(instance, componentOf(name), env, say);
  };
  return {
    stop: (name) => stop(name),
    kill: (name) => stop(name, 'SIGKILL'),
    start,
    restart: async (name) => {
      await stop(name);
      await start(name);
    },
    pid: async (name) => {
      const pid = await findRunning(instance, name);
      if (pid === undefined) throw new Error(`${name} does not run`);
      return pid;
    },
  };
}

function componentOf(name: ComponentName): Component {
  const component = selectComponents([name]).find((one) => one.name === name);
  if (component === undefined) throw new Error(`no component ${name}`);
  return component;
}

async function startOne(
  instance: Instance,
  component: Component,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<void> {
  const jdk = await findJdk(env);
  const postgres = await findPostgres(instance, env, say);
  await startComponents({ instance, jdk, postgres, env }, [component], say);
}
