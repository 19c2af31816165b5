import { parseArgs } from 'node:util';
import type { ComponentName } from '../../stack/components.ts';
import { portDefaults, portVariable, readPorts } from '../../stack/ports.ts';
import type { PortName } from '../../stack/ports.ts';
import { StackError, bringUp, claimInstance, launch } from '../stack/own-stack.ts';
import type { RoundResult } from './run-rounds.ts';

const usage = `usage: make chaos [SEED=n] [ROUNDS=n] [FAULTS=name,name]
       node test/chaos/main.ts [--seed n] [--rounds n] [--faults name,name] [--list] [--keep]
           [--record]

Runs the pipeline on the real stack, injects one kind of fault a round, and compares every row with what was
generated. Without ROUNDS each kind comes once; without SEED the seed is drawn and printed. A name may hold '*'.
The stack is one of its own, instance 'chaos' at port offset 3000 (TRIBUTARY_CHAOS_PORT_OFFSET moves it), and is
removed at the end; --keep leaves it, and takes it up again.

  --list, FAULTS=list   every kind of fault and what it does
  --record              write the results into docs/faults.md; with --rounds 0 bring its list up to date

Exit code 1 when a row was lost, doubled or wrong, or a promise was not kept.`;

/** The stack of the runs stands beside the user's and the tests'. */
const instance = 'chaos';
const portOffset = '3000';
const movedBy = 'TRIBUTARY_CHAOS_PORT_OFFSET';
const always: readonly ComponentName[] = ['kafka', 's3', 'registry', 'catalog'];

type Wish = {
  seed: number;
  rounds: number | undefined;
  faults: readonly string[];
  list: boolean;
  keep: boolean;
  record: boolean;
};

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Undefined where help is wanted. Errors: RangeError for a wrong word. */
function readWish(): Wish | undefined {
  const { values } = parseWords();
  if (values.help) return undefined;
  const faults = (values.faults ?? '').split(',').filter((name) => name !== '');
  return {
    seed: whole('seed', values.seed) ?? Date.now() % 1_000_000,
    rounds: whole('rounds', values.rounds),
    faults,
    list: values.list || faults.includes('list'),
    keep: values.keep,
    record: values.record,
  };
}

function parseWords() {
  const words = process.argv.slice(2);
  try {
    return parseArgs({
      args: words,
      options: {
        seed: { type: 'string' },
        rounds: { type: 'string' },
        faults: { type: 'string' },
        list: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        record: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new RangeError((error as Error).message, { cause: error });
  }
}

/** An empty text counts as none: `make chaos` passes on what it was given. */
function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new RangeError(`--${name}: expected a whole number, got '${text}'`);
}

/**
 * The addresses that the modules of the runner read when they are loaded. The instance is wiped, so it is never the one
 * that the environment names.
 */
function moveToOwnStack(): void {
  const offset = process.env[movedBy] ?? portOffset;
  process.env['TRIBUTARY_STACK_INSTANCE'] = instance;
  process.env['TRIBUTARY_PORT_OFFSET'] = offset;
  const ports = readPorts({ TRIBUTARY_PORT_OFFSET: offset });
  for (const name of Object.keys(portDefaults) as PortName[]) {
    process.env[portVariable(name)] = String(ports[name]);
  }
}

/** Says every two seconds how long something has been under way. */
async function saying(what: string, act: () => Promise<void>): Promise<void> {
  let seconds = 0;
  const ticker = setInterval(() => print(`  ${what}: ${(seconds += 2)} s`), 2_000);
  try {
    await act();
  } finally {
    clearInterval(ticker);
  }
}

/** Brings the stack up, runs, takes it down; the results are told by the caller, as the last lines. */
async function onOwnStack<T>(
  { keep }: Wish,
  components: Iterable<ComponentName>,
  run: () => Promise<T>,
): Promise<T> {
  const release = await claimInstance();
  const end = async (): Promise<void> => {
    if (!keep) await launch('down', '--wipe');
    await release();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void end().finally(() => process.exit(130)));
  }
  try {
    await saying('the stack starts', async () => {
      if (!keep) await launch('down', '--wipe');
      await bringUp(movedBy, ...components);
    });
    return await run();
  } finally {
    await end();
  }
}

async function runWish(): Promise<number> {
  const wish = readWish();
  if (wish === undefined) {
    print(usage);
    return 0;
  }
  moveToOwnStack();
  const { chooseKinds, loadKinds, planRounds } = await import('./kind-list.ts');
  const kinds = (await loadKinds()).map(({ kind }) => kind);
  if (wish.list) {
    const width = Math.max(...kinds.map(({ name }) => name.length));
    for (const { name, does } of kinds) print(`${name.padEnd(width)}  ${does}`);
    return 0;
  }
  const chosen = chooseKinds(kinds, wish.faults);
  const rounds = planRounds(chosen, wish.seed, wish.rounds ?? chosen.length);
  print(`chaos: SEED=${wish.seed} ROUNDS=${rounds.length}, ${chosen.length} kinds of fault`);
  const needed = new Set([...always, ...rounds.flatMap(({ kind }) => kind.needs ?? [])]);
  const { closingLine, runRounds } = await import('./run-rounds.ts');
  const run = (): Promise<RoundResult[]> => runRounds({ rounds, env: process.env, print });
  const results = rounds.length === 0 ? [] : await onOwnStack(wish, needed, run);
  if (wish.record) await (await import('./faults-page.ts')).recordResults(kinds, results);
  const failed = results.filter(({ failure }) => failure !== undefined);
  for (const { kind } of failed) print(`not kept: ${kind.name}`);
  print(closingLine(results));
  return failed.length === 0 ? 0 : 1;
}

// Whatever a failed round has left open must not keep the run from ending.
process.exit(
  await runWish().catch((error: unknown) => {
    if (error instanceof StackError) {
      process.stderr.write(`${error.message}\n`);
      return 1;
    }
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`${error.message}\n${usage}\n`);
    return 2;
  }),
);
