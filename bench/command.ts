import { parseArgs } from 'node:util';
import { EXIT, describeForUser, exitCodeOf } from '../cli/exit-code.ts';

/** A wrong word on the command line. */
class UsageError extends Error {}

type Wish<Name extends string> = { numbers: Readonly<Record<Name, number>>; keep: boolean };

/**
 * Runs a measurement as a command: whole numbers of at least `least` by these names, `--keep` and `--help`.
 * Ends the process with the code that `measure` gives, 2 for wrong words, else by the error's kind: what a
 * failed run has left open does not hold it.
 */
export async function runBench<Name extends string>(options: {
  usage: string;
  defaults: Readonly<Record<Name, number>>;
  least: 0 | 1;
  measure: (wish: Wish<Name>) => Promise<number>;
}): Promise<never> {
  const { usage, measure } = options;
  try {
    const wish = readWish(options);
    if (wish !== undefined) process.exit(await measure(wish));
    console.log(usage);
    process.exit(EXIT.ok);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    console.error(isUsage ? `${error.message}\n\n${usage}` : describeForUser(error));
    process.exit(isUsage ? EXIT.usage : exitCodeOf(error));
  }
}

/** Undefined where help is asked for. */
function readWish<Name extends string>(options: {
  defaults: Readonly<Record<Name, number>>;
  least: 0 | 1;
}): Wish<Name> | undefined {
  const { defaults, least } = options;
  const names = Object.keys(defaults) as Name[];
  const values = parsedArguments(names);
  if (values['help'] === true) return undefined;
  const numbers = { ...defaults } as Record<Name, number>;
  for (const name of names) {
    const text = values[name];
    if (typeof text === 'string') numbers[name] = wholeNumber(name, text, least);
  }
  return { numbers, keep: values['keep'] === true };
}

function parsedArguments(names: readonly string[]): Readonly<Record<string, unknown>> {
  const numbers = names.map((name) => [name, { type: 'string' as const }]);
  const flags = { keep: { type: 'boolean' as const }, help: { type: 'boolean' as const } };
  try {
    return parseArgs({ options: { ...Object.fromEntries(numbers), ...flags } }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

function wholeNumber(name: string, text: string, least: 0 | 1): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new UsageError(`--${name}: expected a whole number of at least ${least}, got "${text}"`);
}

/** What happens meanwhile, beside the result on standard output. */
export function tell(line: string): void {
  console.error(line);
}
