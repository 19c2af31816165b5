import { beforeEach, describe, expect, it } from 'vitest';
import { createClickBatch } from '../../../enrich/core/click-batch.ts';
import type { ClickBatch } from '../../../enrich/core/click-batch.ts';
import { joinBatch } from '../../../enrich/core/join.ts';
import type { JoinTarget } from '../../../enrich/core/join.ts';
import { ByteSlab } from '../../../enrich/state/byte-slab.ts';
import { SharedMemory } from '../../../enrich/state/shared-memory.ts';
import type { Contract } from '../../../schemas/contract.ts';
import { createRowBuffer } from '../../../schemas/row-buffer.ts';
import { openWith, upsert, users } from '../state/state-fixture.ts';

const contract: Contract = {
  name: 'click',
  avroSchema: { type: 'record', name: 'click', fields: [{ name: 'user_id', type: 'long' }] },
};
const NAME = 10;
const BOOKKEEPING = [
  ['user_id', 1],
  ['_kafka_partition', 2],
  ['_kafka_offset', 3],
  ['_ingested_at', 4],
] as const;

let target: JoinTarget;

beforeEach(async () => {
  const { state, take } = await openWith(users);
  await take(
    upsert(1, { user_id: 1n, name: 'a'.repeat(100), score: null }),
    upsert(2, { user_id: 2n, name: '€'.repeat(20), score: null }),
  );
  target = {
    columns: new Map(BOOKKEEPING.map(([name, id]) => [name, { id, type: 'long' }])),
    dimensions: [
      {
        name: 'users',
        streamField: 'user_id',
        normaliser: 'none',
        projection: state.projection('users'),
        columns: [{ id: NAME, type: 'string' }],
        matchFieldId: 12,
      },
    ],
  };
});

function clicksOf(...userIds: number[]): ClickBatch {
  const batch = createClickBatch(createRowBuffer(contract, userIds.length), userIds.length);
  const [column] = batch.rows.columns;
  if (column?.kind !== 'int64') throw new Error(`user_id is ${column?.kind}, not int64`);
  for (const [row, userId] of userIds.entries()) {
    column.words[2 * row] = userId;
    column.valid[row] = 1;
  }
  batch.rows.rowCount = userIds.length;
  return batch;
}

describe('the values that a join carries', () => {
  it('count once each, however many rows carry them', () => {
    const { batch, hits } = joinBatch(clicksOf(1, 1, 2, 1, 2, 3), target, 0, 160);
    expect(hits.get('users')).toBe(5);
    const column = batch.columns.get(NAME);
    expect(column?.kind === 'dictionary' && [...column.codes]).toEqual([0, 0, 1, 0, 1, -1]);
  });

  it('above the bound are an error of configuration that names the key to change', () => {
    const message = 'commit of 4 rows are longer than 159 bytes: lower commit.rows below 2';
    expect(() => joinBatch(clicksOf(1, 1, 2, 1), target, 0, 159)).toThrow(
      expect.objectContaining({ kind: 'config', message: expect.stringContaining(message) }),
    );
  });

  it('longer than 32-bit offsets reach are an error with a kind, not a RangeError', () => {
    const slab = new ByteSlab(new SharedMemory());
    const longest = 2 ** 23;
    slab.add(0, new Uint8Array(longest), 0, longest);
    expect(() => slab.gather(new Int32Array(2 ** 31 / longest).fill(1), () => {})).toThrow(
      expect.objectContaining({ kind: 'config' }),
    );
  });
});

describe('a projection that changes during a join', () => {
  it('is told as that, whatever reading half of it led to', () => {
    const projection = target.dimensions[0]?.projection;
    if (projection === undefined) throw new Error('users is joined');
    let sequence = 0;
    projection.sequence = () => (sequence += 2);
    projection.gatherCodes = () => {
      throw new RangeError('offset is out of bounds');
    };
    expect(() => joinBatch(clicksOf(1), target, 0)).toThrow(
      'assert: dimension users must not change during a join, its sequence went from 2 to 4',
    );
  });
});
