import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Pipeline } from './command.ts';
import { contractsPage, normalised, openCheckout, stepsOf, withOutputs } from './contracts-page.ts';
import { openLake } from './lake.ts';
import type { Lake } from './lake.ts';

/** What stands in the topic before the walk. */
const CLICKS = 2_000;
/** With this in the environment, the page takes the outputs of the run. */
const RECORD = 'TRIBUTARY_RECORD_PAGE';

let lake: Lake;
let pipeline: Pipeline;
let directory: string;

beforeAll(async () => {
  lake = await openLake('walk');
  pipeline = await lake.startPipeline();
  await pipeline.ready();
  await lake.sendClicks('--count', String(CLICKS), '--corrupt', '0', '--late', '0');
  await lake.caughtUp();
  directory = join(lake.directory, 'checkout');
  await mkdir(directory);
  await cp('schemas', join(directory, 'schemas'), { recursive: true });
  await cp(lake.pipelineFile, join(directory, 'pipeline.yaml'));
});
afterAll(() => lake.close());

it('docs/contracts.md: each command does what stands there', { timeout: 300_000 }, async () => {
  const page = await readFile(contractsPage, 'utf8');
  const checkout = await openCheckout(directory, lake.environment);
  const outputs: string[] = [];
  for (const step of stepsOf(page)) {
    if (step.kind === 'edit') {
      await checkout.edit(step.diff);
      continue;
    }
    // The page's topic and table are this lake's.
    const command = step.command.replaceAll(/\b(from |')clicks\b/g, `$1${lake.name}`);
    outputs.push((await checkout.run(command)).replaceAll(lake.name, 'clicks'));
    if (command.includes('generate clicks')) await lake.caughtUp();
  }
  pipeline.mustBeAlive();
  const before = (await lake.metadata())?.snapshots[0]?.snapshotId;
  const then = `select referrer_campaign from ${lake.table} for version as of ${before}`;
  await expect(lake.trino.query(then)).rejects.toThrow(/cannot be resolved/);
  const done = withOutputs(page, outputs);
  if (process.env[RECORD] !== undefined) await writeFile(contractsPage, done);
  expect(outputs.length).toBeGreaterThan(8);
  expect(normalised(done)).toBe(normalised(await readFile(contractsPage, 'utf8')));
});
