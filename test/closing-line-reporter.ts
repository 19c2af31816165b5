import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

type Counts = { passed: number; failed: number; skipped: number };

/**
 * Ends the output with one plain line, `N passed, N failed` and `, N skipped` where there are any, for whoever reads
 * the last line. A run that fails without a failed test, by its set-up for one, counts one failure.
 */
export default class ClosingLineReporter implements Reporter {
  #counts: Counts = { passed: 0, failed: 0, skipped: 0 };

  onInit(): void {
    // The global tear-down still prints after the last test.
    process.once('exit', (code) => {
      const { failed } = this.#counts;
      this.#counts.failed = code === 0 ? failed : Math.max(failed, 1);
      writeSync(1, `${closingLine(this.#counts)}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    this.#counts = count(modules, errors.length);
  }
}

/** Counts tests by outcome. A file that could not be loaded holds no tests and is one failure. */
function count(modules: readonly TestModule[], errors: number): Counts {
  const counts = { passed: 0, failed: errors, skipped: 0 };
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      counts[state === 'pending' ? 'failed' : state] += 1;
    }
  }
  return counts;
}

/** The line itself. */
function closingLine({ passed, failed, skipped }: Counts): string {
  const line = `${passed} passed, ${failed} failed`;
  return skipped === 0 ? line : `${line}, ${skipped} skipped`;
}
