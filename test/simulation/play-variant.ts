import { registerHooks } from 'node:module';
import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Caught } from './run-variant.ts';
import { VARIANTS } from './variants.ts';
import type { Edit } from './variants.ts';

// A process of its own: the product is loaded with the edits of one variant, and schedules are played on it.

const ROOT = new URL('../../', import.meta.url);
const TELL_EVERY_MS = 2_000;

const [name = '', seedText = '1', schedulesText = '1'] = process.argv.slice(2);
const variant = VARIANTS.find((one) => one.name === name);
if (variant === undefined) throw new Error(`no variant "${name}"`);
loadEdited(variant.edits);
const caught = await playUntilCaught(Number(seedText), Number(schedulesText));
process.stdout.write(`${JSON.stringify(caught)}\n`);

/** Every text must occur once in its file: a variant that no longer fits the code is an error. */
function loadEdited(edits: readonly Edit[]): void {
  const sources = new Map<string, string>();
  for (const { file, find, put } of edits) {
    const url = new URL(file, ROOT).href;
    const source = sources.get(url) ?? readFileSync(fileURLToPath(url), 'utf8');
    const parts = source.split(find);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${find}`);
    sources.set(url, parts.join(put));
  }
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const source = sources.get(realUrl(url));
      return source === undefined ? loaded : { ...loaded, source };
    },
  });
}

/** The workspace package may be reached by its link in node_modules. */
function realUrl(url: string): string {
  const link = pathToFileURL(
    fileURLToPath(new URL('node_modules/@iceberg-js/rest-client-shim/', ROOT)),
  );
  return url.startsWith(link.href) ? url.replace(link.href, new URL('catalog/', ROOT).href) : url;
}

async function playUntilCaught(seed: number, schedulesMax: number): Promise<Caught> {
  const { playSeed } = await import('./play-seed.ts');
  const { Violation } = await import('./violation.ts');
  let toldMs = performance.now();
  for (let n = 0; n < schedulesMax; n += 1) {
    try {
      await playSeed(seed + n);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const { invariant, message } = error;
      return { kind: 'caught', schedules: n + 1, invariant, message };
    }
    if (performance.now() - toldMs < TELL_EVERY_MS) continue;
    toldMs = performance.now();
    process.stderr.write(`simulate: variant ${name}, ${n + 1} of ${schedulesMax} schedules\n`);
  }
  return { kind: 'not-caught', reason: `${schedulesMax} schedules broke nothing` };
}
