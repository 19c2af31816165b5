import { parseArgs } from 'node:util';
import { playSeed } from './play-seed.ts';
import { runVariant } from './run-variant.ts';
import { VARIANTS } from './variants.ts';
import { Violation } from './violation.ts';

const SCHEDULES_DEFAULT = 100_000;
/** In how many schedules a broken variant must be caught. */
const VARIANT_SCHEDULES_MAX = 5_000;
const TELL_EVERY_MS = 2_000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: String(SCHEDULES_DEFAULT) },
    variant: { type: 'string', multiple: true },
  },
});
const seed = wholeNumber('SEED', values.seed);
const schedules = wholeNumber('SCHEDULES', values.schedules);

if (schedules === 1) await replay(seed);
else if (await playAll()) await tryVariants();

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  process.stderr.write(`${name} must be a whole number, got "${text}"\n`);
  process.exit(2);
}

/** One schedule, with everything that happens in it. */
async function replay(of: number): Promise<void> {
  const violations = await play(of, (line) => process.stdout.write(`${line}\n`));
  finish(1, violations, { variants: 0, caught: 0 });
}

/** All schedules; false at the first violation. */
async function playAll(): Promise<boolean> {
  // Faults make errors by the thousand, and nobody looks where.
  Error.stackTraceLimit = 0;
  const startedMs = performance.now();
  let toldMs = startedMs;
  for (let n = 0; n < schedules; n += 1) {
    if ((await play(seed + n)) > 0) {
      finish(n + 1, 1, { variants: 0, caught: 0 });
      return false;
    }
    const nowMs = performance.now();
    if (nowMs - toldMs < TELL_EVERY_MS) continue;
    toldMs = nowMs;
    const perSecond = Math.round((1000 * (n + 1)) / (nowMs - startedMs));
    process.stderr.write(`simulate: ${n + 1} of ${schedules} schedules, ${perSecond} a second\n`);
  }
  return true;
}

async function play(of: number, trace?: (line: string) => void): Promise<number> {
  try {
    await playSeed(of, trace);
    return 0;
  } catch (error) {
    const broken = error instanceof Violation ? `invariant ${error.invariant}` : 'the simulation';
    process.stdout.write(
      `seed ${of}: ${broken} broken: ${error instanceof Error ? error.message : String(error)}\n` +
        `replay it with: make simulate SEED=${of} SCHEDULES=1\n`,
    );
    if (!(error instanceof Violation)) process.stderr.write(`${(error as Error).stack}\n`);
    return 1;
  }
}

async function tryVariants(): Promise<void> {
  const wanted = VARIANTS.filter(({ name }) => values.variant?.includes(name) ?? true);
  let caught = 0;
  for (const { name } of wanted) {
    const found = await runVariant(name, { seed, schedulesMax: VARIANT_SCHEDULES_MAX });
    if (found.kind === 'caught') caught += 1;
    const text =
      found.kind === 'caught'
        ? `caught after ${found.schedules} schedules by invariant ${found.invariant}`
        : `NOT caught: ${found.reason}`;
    process.stdout.write(`variant ${name} ${text}\n`);
  }
  finish(schedules, 0, { variants: wanted.length, caught });
}

function finish(
  played: number,
  violations: number,
  { variants, caught }: { variants: number; caught: number },
): void {
  process.stdout.write(
    `simulate: schedules=${played} violations=${violations} variants=${variants} caught=${caught}\n`,
  );
  process.exitCode = violations > 0 || caught < variants ? 1 : 0;
}
