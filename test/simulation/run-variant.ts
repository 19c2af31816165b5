import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('play-variant.ts', import.meta.url));
const VARIANT_MS_MAX = 600_000;

export type VariantRun = { seed: number; schedulesMax: number };

export type Caught =
  | { kind: 'caught'; schedules: number; invariant: number; message: string }
  | { kind: 'not-caught'; reason: string };

/** Plays schedules on a broken variant of the product, in a process of its own, until one breaks an invariant. */
export async function runVariant(name: string, run: VariantRun): Promise<Caught> {
  const args = [ENTRY, name, String(run.seed), String(run.schedulesMax)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), VARIANT_MS_MAX);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.on('close', resolve);
  const code = await promise;
  clearTimeout(timer);
  const line = output.trim().split('\n').at(-1) ?? '';
  if (code === 0 && line.startsWith('{')) return JSON.parse(line) as Caught;
  return { kind: 'not-caught', reason: `the process ended with ${code}: ${line}` };
}
