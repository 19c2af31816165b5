import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

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
  return statusBytes(pid, 'VmHWM');
}

/** The resident set, in bytes. Source: proc(5), `VmRSS` of `/proc/pid/status`. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** From now on the peak counts anew. Source: proc(5), `/proc/pid/clear_refs`, value 5. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Open files and sockets. Source: proc(5), `/proc/pid/fd`. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Source: proc(5), `/proc/pid/task`. */
export function threads(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

function statusBytes(pid: number, name: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0) * 1024;
}
