import { readFile, rm } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Component, type ComponentName, components, type Host } from './components.ts';
import { type Instance, logFile } from './instance.ts';
import { conflictLine, isTaken } from './ports.ts';
import { findRunning, startProcess, stopProcess } from './processes.ts';

/** Takes one line of progress for the user. */
export type Print = (line: string) => void;

/** How long a component may take until it answers: a cold Trino on a busy laptop needs half a minute. */
const readyWaitMsMax = 180_000;

/** A starting JVM keeps a core busy. */
const startsAtOnceMax = 2;

/** The named components and everything they need, in starting order; all of them when none is named. */
export function selectComponents(names: readonly ComponentName[]): Component[] {
  const wanted = new Set<ComponentName>(names);
  for (const component of components.toReversed()) {
    if (wanted.has(component.name)) for (const need of component.needs) wanted.add(need);
  }
  return components.filter(({ name }) => names.length === 0 || wanted.has(name));
}

/** Those of `selected` that do not run. Says which ones already do. */
export async function findMissing(
  instance: Instance,
  selected: readonly Component[],
  print: Print,
): Promise<Component[]> {
  const missing: Component[] = [];
  for (const component of selected) {
    const pid = await findRunning(instance, component.name);
    if (pid === undefined) missing.push(component);
    else print(`${component.name} already runs (process ${pid})`);
  }
  return missing;
}

/** One line for each port of these components that another program holds. */
export async function findConflicts(
  instance: Instance,
  missing: readonly Component[],
  movedBy?: string,
): Promise<string[]> {
  const wanted = missing.flatMap(({ name, ports }) => ports.map((port) => ({ name, port })));
  const lines = await Promise.all(
    wanted.map(async ({ name, port }) => {
      const number = instance.ports[port];
      return (await isTaken(number)) ? conflictLine(port, number, name, movedBy) : [];
    }),
  );
  return lines.flat();
}

/**
 * Starts the components, each once those it needs answer, at most two at a time, and returns when all answer.
 * A component that ends or does not answer in time is an Error that holds the end of its log; no further one is
 * started then, and those that run stay.
 */
export async function startComponents(
  host: Host,
  missing: readonly Component[],
  print: Print,
): Promise<void> {
  const ready = new Map<ComponentName, Promise<void>>();
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (const component of missing) {
    while (running.size >= startsAtOnceMax) await Promise.race(running);
    await Promise.all(component.needs.map((need) => ready.get(need) ?? Promise.resolve()));
    if (failures.length > 0) break;
    const start = startComponent(host, component, print)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(start));
    running.add(start);
    ready.set(component.name, start);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

async function startComponent(host: Host, component: Component, print: Print): Promise<void> {
  const startedMs = performance.now();
  await component.prepare(host);
  const command = await component.command(host);
  await startProcess(host.instance, component.name, command, host.env);
  await waitUntilReady(host.instance, component);
  await component.complete?.(host.instance);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  print(`${component.name} ready, ${seconds} s`);
}

async function waitUntilReady(instance: Instance, component: Component): Promise<void> {
  const pollMs = 200;
  const deadlineMs = performance.now() + readyWaitMsMax;
  while (!(await component.answers(instance))) {
    const alive = (await findRunning(instance, component.name)) !== undefined;
    if (alive && performance.now() < deadlineMs) {
      await sleep(pollMs);
      continue;
    }
    const what = alive
      ? `did not answer within ${readyWaitMsMax / 1000} s`
      : 'ended while starting';
    await stopComponent(instance, component);
    throw new Error(`${component.name} ${what}\n${await readLogEnd(instance, component.name, 15)}`);
  }
}

function stopComponent(instance: Instance, component: Component): ReturnType<typeof stopProcess> {
  return stopProcess(instance, component.name, { signal: component.stopSignal ?? 'SIGTERM' });
}

/** Stops those components that run, the last started first. */
export async function stopComponents(
  instance: Instance,
  selected: readonly Component[],
  print: Print,
): Promise<void> {
  let stopped = 0;
  for (const component of selected.toReversed()) {
    const outcome = await stopComponent(instance, component);
    if (outcome === 'absent') continue;
    stopped += 1;
    print(`${component.name} ${outcome}`);
  }
  if (stopped === 0) print('nothing was running');
}

/** Removes everything that the instance has stored: data, logs and pid files. The downloaded jars stay. */
export async function wipe(instance: Instance): Promise<void> {
  await rm(instance.run, { recursive: true, force: true });
}

/** The last lines of a component's log, headed by its path. Java's stack frames are left out: they hide the reason. */
export async function readLogEnd(
  instance: Instance,
  component: ComponentName,
  lines: number,
): Promise<string> {
  const path = logFile(instance, component);
  const text = await readFile(path, 'utf8').catch(() => '');
  const said = text.trimEnd().split('\n');
  const told = said.filter((line) => !/^\s+(at |\.\.\. \d+ )/.test(line));
  return [`== ${path}`, ...told.slice(-lines)].join('\n');
}
