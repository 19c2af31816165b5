import { join, resolve } from 'node:path';
import { type Environment, type Ports, readPorts } from './ports.ts';

/**
 * One running copy of the stack. Instances share the downloaded jars and nothing else, so that the tests' stack
 * stands beside the user's.
 */
export type Instance = {
  readonly name: string;
  readonly ports: Ports;
  /** The repository's `stack/` folder: configuration files and Java sources. */
  readonly sources: string;
  /** Downloaded jars, shared by all instances. */
  readonly dist: string;
  /** This instance's data, logs and pid files. */
  readonly run: string;
};

/** Reads TRIBUTARY_STACK_INSTANCE, TRIBUTARY_STACK_DIR and the port variables. */
export function readInstance(env: Environment): Instance {
  const name = env['TRIBUTARY_STACK_INSTANCE'] ?? 'demo';
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
    throw new Error(
      `TRIBUTARY_STACK_INSTANCE must be lower-case letters, digits and dashes, got '${name}'`,
    );
  }
  const sources = import.meta.dirname;
  const root = resolve(env['TRIBUTARY_STACK_DIR'] ?? join(sources, '../.stack'));
  return {
    name,
    ports: readPorts(env),
    sources,
    dist: join(root, 'dist'),
    run: join(root, 'run', name),
  };
}

/** Where a component keeps what must survive a restart. */
export function dataDirectory(instance: Instance, component: string): string {
  return join(instance.run, 'data', component);
}

/** What a component printed since its last start. */
export function logFile(instance: Instance, component: string): string {
  return join(instance.run, 'log', `${component}.log`);
}
