import { expect, it } from 'vitest';
import { createMetrics } from '../../../enrich/metrics.ts';
import { PipelineStatus } from '../../../enrich/pipeline/pipeline-status.ts';
import { StreamEvolution } from '../../../enrich/pipeline/stream-evolution.ts';
import type { AvroObject } from '../../../schemas/contract.ts';
import { pipelineConfig, shippedContracts, World } from './harness.ts';
import { clickWith, field } from './producers.ts';
import { virtualClock } from './virtual-time.ts';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

async function openEvolution() {
  const { world } = await World.started();
  const metadata = await world.metadata();
  const evolution = new StreamEvolution({
    config: pipelineConfig(),
    contracts: shippedContracts,
    table: { identifier: { namespace: ['lake'], name: 'clicks' }, metadata },
    logger: silent,
    metrics: createMetrics(),
    status: new PipelineStatus(virtualClock(world.time)),
  });
  const meet = (schemaId: number, writer: AvroObject): void => {
    evolution.lessonOf(new Map([[schemaId, writer]]));
  };
  const typeOf = (column: string, ...schemaIds: number[]): unknown =>
    evolution.plan(new Set(schemaIds), metadata).columns.get(column)?.type;
  return { meet, typeOf };
}

it('a plan that was made before the contract has grown is not the plan of rows that came after', async () => {
  const { meet, typeOf } = await openEvolution();
  meet(1, clickWith(field('score', 'int')));
  expect(typeOf('score', 1)).toBe('int');
  meet(2, clickWith(field('score', 'long')));
  expect(typeOf('score', 2)).toBe('long');
});

it('a plan has no column that none of its rows needs', async () => {
  const { meet, typeOf } = await openEvolution();
  meet(1, clickWith(field('score', 'int')));
  meet(2, clickWith(field('tag', 'string')));
  expect([typeOf('score', 2), typeOf('tag', 2)]).toEqual([undefined, 'string']);
  expect([typeOf('score', 1), typeOf('tag', 1)]).toEqual(['int', undefined]);
  expect(typeOf('duration_ms', 1, 2)).toBe('int');
});
