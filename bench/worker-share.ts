import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../cli/environment.ts';

/** Where Linux mounts the controller that counts CPU time by thread. Source: cgroups(7), version 1. */
const CONTROLLER = '/sys/fs/cgroup/cpu';
const PERIOD_MICROS = 20_000;
const LOOK_MS = 50;
const LOOKS_MAX = 200;

/**
 * Holds each click worker of a process to so many per cent of a core, so that a machine of few cores shows what one
 * more worker adds where there is a core for it. Resolves, once all are held, to what removes the groups after the
 * process has ended. Errors: an `Error` where the machine has no such controller, needs another user, or the workers
 * do not start.
 */
export async function holdWorkers(
  pid: number,
  { workers, percent }: { workers: number; percent: number },
): Promise<() => void> {
  if (!existsSync(join(CONTROLLER, 'cpu.cfs_quota_us'))) {
    throw new Error(`--hold needs the cpu controller of control groups 1 at ${CONTROLLER}`);
  }
  const held = new Map<string, string>();
  for (let look = 0; held.size < workers; look += 1) {
    if (look === LOOKS_MAX)
      throw new Error(`${held.size} of ${workers} click workers have started`);
    for (const thread of clickWorkers(pid)) {
      if (!held.has(thread)) held.set(thread, hold(thread, percent));
    }
    await systemClock.sleep(LOOK_MS);
  }
  return () => {
    for (const group of held.values()) rmdirSync(group);
  };
}

function clickWorkers(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).filter((thread) =>
    readFileSync(join(tasks, thread, 'comm'), 'utf8').startsWith('click worker'),
  );
}

function hold(thread: string, percent: number): string {
  const group = join(CONTROLLER, `tributary-bench-${thread}`);
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cpu.cfs_period_us'), String(PERIOD_MICROS));
  writeFileSync(join(group, 'cpu.cfs_quota_us'), String((PERIOD_MICROS * percent) / 100));
  writeFileSync(join(group, 'tasks'), thread);
  return group;
}
