import { readFileSync } from 'node:fs';

/** Linux counts CPU time in ticks of this length on every platform that Node supports. */
const TICKS_PER_SECOND = 100;

/** CPU seconds (user and system, all threads) of a process so far. Source: proc(5), `/proc/pid/stat`. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Largest resident set so far, in bytes. Source: proc(5), `VmHWM` of `/proc/pid/status`. */
export function peakResidentBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
}
