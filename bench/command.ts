import { parseArgs } from 'node:util';
import { EXIT, describeForUser, exitCodeOf } from '../cli/exit-code.ts';

/** A wrong word on the command line. */
class UsageError extends Error {}

/** A number, numbers with commas between, words out of these, or a flag that is off. */
type Default = number | readonly number[] | readonly string[] | false;

type Defaults = Readonly<Record<string, Default>>;

/** What was asked for: a value of the default's kind under each name. */
type Wish<D extends Defaults> = {
  readonly [Name in keyof D]: D[Name] extends number
    ? number
    : D[Name] extends readonly number[]
      ? readonly number[]
      : D[Name] extends readonly (infer Word)[]
        ? readonly Word[]
        : boolean;
};

/**
 * Runs a measurement as a command: `--name` for each default, `--keep` and `--help`. Numbers are whole and at least
 * `least`. Ends the process with the code that `measure` gives, 2 for wrong words, else by the error's kind: what a
 * failed run has left open does not hold it.
 */
export async function runBench<const D extends Defaults>(options: {
  usage: string;
  defaults: D;
  least: 0 | 1;
  measure: (wish: Wish<D>, keep: boolean) => Promise<number>;
}): Promise<never> {
  const { usage, measure } = options;
  try {
    const wish = readWish(options);
    if (wish !== undefined) process.exit(await measure(wish.values, wish.keep));
    console.log(usage);
    process.exit(EXIT.ok);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    console.error(isUsage ? `${error.message}\n\n${usage}` : describeForUser(error));
    process.exit(isUsage ? EXIT.usage : exitCodeOf(error));
  }
}

/** Undefined where help is asked for. */
function readWish<D extends Defaults>(options: {
  defaults: D;
  least: 0 | 1;
}): { values: Wish<D>; keep: boolean } | undefined {
  const { defaults, least } = options;
  const given = parsedArguments(defaults);
  if (given['help'] === true) return undefined;
  const values = Object.entries(defaults).map(([name, standard]) => [
    name,
    given[name] === undefined ? standard : readValue(name, standard, given[name], least),
  ]);
  return { values: Object.fromEntries(values) as Wish<D>, keep: given['keep'] === true };
}

function parsedArguments(defaults: Defaults): Readonly<Record<string, unknown>> {
  const asked = Object.entries(defaults).map(([name, standard]) => [
    name,
    { type: standard === false ? ('boolean' as const) : ('string' as const) },
  ]);
  const flags = { keep: { type: 'boolean' as const }, help: { type: 'boolean' as const } };
  try {
    return parseArgs({ options: { ...Object.fromEntries(asked), ...flags } }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

function readValue(name: string, standard: Default, given: unknown, least: 0 | 1): unknown {
  if (typeof given !== 'string') return given;
  if (typeof standard === 'number') return wholeNumber(name, given, least);
  const parts = given.split(',');
  if (!Array.isArray(standard)) return parts;
  const words = standard.filter((one: unknown) => typeof one === 'string');
  if (words.length === 0) return parts.map((part) => wholeNumber(name, part, least));
  const unknown = parts.find((part) => !words.includes(part));
  if (unknown === undefined) return parts;
  throw new UsageError(`--${name}: expected ${words.join(' or ')}, got "${unknown}"`);
}

function wholeNumber(name: string, text: string, least: 0 | 1): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new UsageError(`--${name}: expected a whole number of at least ${least}, got "${text}"`);
}

/** What happens meanwhile, beside the result on standard output. */
export function tell(line: string): void {
  console.error(line);
}
