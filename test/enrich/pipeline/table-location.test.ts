import { createMemoryCatalog } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parsePipelineFile } from '../../../enrich/config/load-pipeline.ts';
import { openTables } from '../../../enrich/pipeline/tables.ts';
import { loadContract } from '../../../schemas/load-contracts.ts';

it('the events table is created at table.location, with table.properties; the dead letters are not', async () => {
  const text = readFileSync('pipeline.yaml', 'utf8').replace(
    'table:\n',
    'table:\n  location: s3://elsewhere/clicks\n  properties: {owner: ann}\n',
  );
  const parsed = parsePipelineFile(text, {}, () => '');
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  let tables = 0;
  const catalog = createMemoryCatalog({
    clock: { nowMs: () => 0 },
    uuid: () => `00000000-0000-4000-a000-${String(tables++).padStart(12, '0')}`,
  });
  const { events, deadLetter } = await openTables({
    catalog,
    config: parsed.config,
    stream: await loadContract('schemas', 'click'),
    dimensions: new Map([
      ['users', await loadContract('schemas', 'user')],
      ['devices', await loadContract('schemas', 'device')],
      ['urls', await loadContract('schemas', 'url')],
    ]),
  });
  expect(events.metadata.location).toBe('s3://elsewhere/clicks');
  expect(events.metadata.properties).toMatchObject({ owner: 'ann' });
  expect(deadLetter.metadata.location).not.toContain('elsewhere');
});
