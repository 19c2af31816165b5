import { execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../stack/compose-file.ts';

const run = promisify(execFile);

/** The walk of the schema owner. */
export const contractsPage: string = join(repository, 'docs/contracts.md');

/** What the page has to be done, in its order. */
export type Step =
  { kind: 'edit'; diff: string } | { kind: 'command'; command: string; output: string };

/** The edits and commands of a page; the output of a command is all up to the next one, or the end of its block. */
export function stepsOf(page: string): Step[] {
  return [...page.matchAll(/^```(diff|console)\n([^]*?)^```$/gm)].flatMap(
    ([, kind, text = '']): Step[] =>
      kind === 'diff' ? [{ kind: 'edit', diff: text }] : commands(text),
  );
}

function commands(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const end = text.indexOf('\n');
      return { kind: 'command', command: text.slice(0, end), output: text.slice(end + 1) };
    });
}

/** The page with these outputs in place of those that it has. */
export function withOutputs(page: string, outputs: readonly string[]): string {
  let next = 0;
  return page.replaceAll(/^```console\n([^]*?)^```$/gm, (_all, block: string) => {
    const filled = commands(block).map((step) => {
      const command = step.kind === 'command' ? step.command : '';
      return `$ ${command}\n${outputs[next++] ?? ''}`;
    });
    return `\`\`\`console\n${filled.join('')}\`\`\``;
  });
}

/** What differs from one run to the next, taken out of an output. */
export function normalised(output: string): string {
  return output
    .replaceAll(/\bid \d+ version \d+/g, 'id N version N')
    .replaceAll(/\bof schema \d+/g, 'of schema N')
    .replaceAll(/\b(clicks)\/\d+\/\d+/g, '$1/P/O')
    .replaceAll(/"seconds":[\d.]+,"clicksPerSecond":\d+/g, '"seconds":S,"clicksPerSecond":N');
}

/** A checkout of the contracts and a pipeline file, in which the page's commands are run. */
export async function openCheckout(
  directory: string,
  environment: Readonly<Record<string, string>>,
) {
  const command = `#!/bin/sh\nexec '${join(repository, 'tributary')}' "$@"\n`;
  await writeFile(join(directory, 'tributary'), command, { mode: 0o755 });
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
      cwd: directory,
    });
  await git('init', '--quiet', '--initial-branch', 'main');
  await git('add', 'schemas', 'pipeline.yaml');
  await git('commit', '--quiet', '-m', 'contracts');
  return {
    edit: async (diff: string): Promise<void> => {
      await writeFile(join(directory, 'change.diff'), diff);
      await git('apply', 'change.diff');
    },
    /** What a command prints for whoever reads it; progress is left out. */
    run: (line: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const child = spawn('bash', ['-c', line], {
          cwd: directory,
          env: { ...process.env, ...environment },
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        let stdout = '';
        child.stdout.on('data', (data) => (stdout += String(data)));
        child.once('error', reject);
        child.once('close', () => resolve(stdout));
      }),
  };
}
