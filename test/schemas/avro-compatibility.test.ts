import { describe, expect, it } from 'vitest';
import { incompatibilities } from '../../schemas/avro-compatibility.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';
import { schemaPairs } from './corpus/schema-pairs.ts';

describe('the corpus of schema pairs', () => {
  it('has at least 200, each with a name of its own', () => {
    expect(schemaPairs.length).toBeGreaterThanOrEqual(200);
    expect(new Set(schemaPairs.map(({ name }) => name)).size).toBe(schemaPairs.length);
  });

  it.each(schemaPairs)('$name', ({ older, newer, backward, forward }) => {
    const [before, after] = [parseAvroType(older), parseAvroType(newer)];
    expect({
      backward: incompatibilities(after, before).length === 0,
      forward: incompatibilities(before, after).length === 0,
    }).toEqual({ backward, forward });
  });
});
