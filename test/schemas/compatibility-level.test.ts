import { describe, expect, it } from 'vitest';
import { parseAvroType } from '../../schemas/avro-type.ts';
import { checkLevel, compatibilityLevels } from '../../schemas/compatibility-level.ts';
import { schemaChains } from './corpus/schema-chains.ts';
import { holding } from './corpus/schema-pair.ts';

const versionsOf = (schemas: readonly unknown[]) =>
  schemas.map((schema, index) => ({ label: `version ${index + 1}`, type: parseAvroType(schema) }));

describe('the levels that let in', () => {
  it.each(schemaChains)('$name', ({ versions, proposed, accepted }) => {
    const next = parseAvroType(proposed);
    const levels = compatibilityLevels.filter(
      (level) => checkLevel(level, next, versionsOf(versions)).length === 0,
    );
    expect(levels.toSorted()).toEqual(accepted.toSorted());
  });
});

describe('a break', () => {
  const versions = versionsOf([holding('int'), holding('int', { doc: 'Twice.' })]);
  const proposed = parseAvroType(holding('string'));

  it('with several versions is told once, of the newest', () => {
    const told = checkLevel('BACKWARD_TRANSITIVE', proposed, versions);
    expect(told.map(({ against, breaks }) => [against, breaks])).toEqual([
      ['version 2', 'old data'],
    ]);
  });

  it('in both directions is told for each', () => {
    const told = checkLevel('FULL', proposed, versions);
    expect(told.map(({ breaks }) => breaks)).toEqual(['old data', 'old readers']);
  });

  it('is none where no version came before', () => {
    expect(checkLevel('FULL_TRANSITIVE', proposed, [])).toEqual([]);
  });
});
