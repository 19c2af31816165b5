import { execFile, spawn } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';

// Each step starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

type Workflow = {
  on: { pull_request: { paths: string[] } };
  jobs: { contracts: { env: Record<string, string>; steps: { name?: string; run?: string }[] } };
};

const workflow = parse(await readFile('.github/workflows/contracts.yml', 'utf8')) as Workflow;
const { env, steps } = workflow.jobs.contracts;
const run = promisify(execFile);

let directory: string;
const git = (...args: string[]) =>
  run('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
    cwd: directory,
  });

/** A checkout as a runner has it: the contracts and the pipeline file, and the base under origin. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tributary-workflow-'));
  await cp('schemas', join(directory, 'schemas'), { recursive: true });
  await cp('pipeline.yaml', join(directory, 'pipeline.yaml'));
  const command = `#!/bin/sh\nexec '${process.cwd()}/tributary' "$@"\n`;
  await writeFile(join(directory, 'tributary'), command);
  await chmod(join(directory, 'tributary'), 0o755);
  await git('init', '--quiet');
  await git('add', 'pipeline.yaml', 'schemas/*.avsc');
  await git('commit', '--quiet', '-m', 'contracts');
  await git('update-ref', 'refs/remotes/origin/release/1.x', 'HEAD');
});
afterAll(() => rm(directory, { recursive: true }));

/** Runs a step as a runner does: bash that stops at the first error. */
async function runStep(name: string): Promise<{ code: number | null; summary: string }> {
  const script = steps.find((step) => step.name === name)?.run;
  if (script === undefined) throw new Error(`the workflow has no step ${name}`);
  const summary = join(directory, 'summary.md');
  await writeFile(summary, '');
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', script], {
    cwd: directory,
    env: { PATH: process.env['PATH'], BASE: 'release/1.x', GITHUB_STEP_SUMMARY: summary },
    stdio: 'ignore',
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, summary: await readFile(summary, 'utf8') };
}

async function changed<T>(from: string, to: string, action: () => Promise<T>): Promise<T> {
  const file = join(directory, 'schemas/click.avsc');
  const text = await readFile(file, 'utf8');
  expect(text).toContain(from);
  await writeFile(file, text.replace(from, to));
  try {
    return await action();
  } finally {
    await writeFile(file, text);
  }
}

const [check, preview] = ['What the change breaks', 'What it does to the table'];

describe('the workflow of a change of contracts', () => {
  it('runs for contracts and the pipeline file, with the base of the change', () => {
    expect(workflow.on.pull_request.paths).toEqual(['schemas/**', 'pipeline.yaml']);
    expect(env).toEqual({ BASE: '${{ github.base_ref }}' });
  });

  it('passes an addition and shows the new column', async () => {
    const field = '{ "name": "note", "type": ["null", "string"], "default": null },';
    await changed('{ "name": "user_id"', `${field} { "name": "user_id"`, async () => {
      const checked = await runStep(check);
      expect(checked.code).toBe(0);
      expect(checked.summary).toMatch(
        /^### Contract check\n```text\nclick .*: ok\n\nlake.clicks [^]*\n {2}note .*: note is added: [^]*\n```\n$/,
      );
      const previewed = await runStep(preview);
      expect(previewed.code).toBe(0);
      expect(previewed.summary).toMatch(/^\| note \| 27 \| added \| string, optional \|/m);
    });
  });

  it('fails a break, and still says of it in the summary', async () => {
    await changed('["null", "int"]', '["null", "string"]', async () => {
      const checked = await runStep(check);
      expect(checked.code).toBe(1);
      expect(checked.summary).toMatch(/breaks the table[\s\S]*\n```\n$/);
      const previewed = await runStep(preview);
      expect(previewed.code).toBe(1);
      expect(previewed.summary).toMatch(/^\| duration_ms \|  \| refused \|/m);
    });
  });
});
