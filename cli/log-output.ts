import { writeSync } from 'node:fs';

const STDOUT = 1;

/**
 * Writes log lines to standard output, each at once. What cannot be written, because the disk under it is full or
 * its reader has gone, is dropped: a log must stop nothing. `process.stdout` would end the process, or, with its
 * error handled, write nothing ever after.
 */
export function logToStdout(): (line: string) => void {
  let isTorn = false;
  return (line) => {
    const bytes = Buffer.from(isTorn ? `\n${line}\n` : `${line}\n`);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(STDOUT, bytes, written);
      isTorn = false;
    } catch {
      // Part of a line may stand there; the next one begins anew.
      isTorn = true;
    }
  };
}
