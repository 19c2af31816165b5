import { expect, it } from 'vitest';
import { judgeSchema } from '../../../enrich/core/judge-schema.ts';
import { evolvableKinds } from '../../../schemas/schema-change-kind.ts';
import { shippedContracts } from '../pipeline/harness.ts';
import { clickWith, field } from '../pipeline/producers.ts';

it('once a table takes no other column, those that it lacks are no longer tried', () => {
  const { stream } = shippedContracts;
  const tried: string[] = [];
  const names = ['large', 'a', 'b', 'there', 'c'];
  const verdict = judgeSchema({
    base: stream,
    current: stream,
    writer: clickWith(...names.map((name) => field(name, 'int'))),
    evolution: { policy: 'evolve', allow: new Set(evolvableKinds) },
    misfit: (_contract, name) => {
      tried.push(name);
      return name === 'there' ? undefined : { reason: 'no', isFull: name === 'a' };
    },
    columns: new Set(['there']),
  });
  expect(tried).toEqual(['large', 'a', 'there']);
  expect(verdict).toMatchObject({
    followed: [{ field: 'there' }],
    ignored: ['large', 'a', 'b', 'c'].map((name) => ({
      field: name,
      what: 'is not in the contract, and no',
    })),
  });
});
