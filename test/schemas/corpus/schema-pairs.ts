import { fieldPairs } from './field-pairs.ts';
import { nestedPairs } from './nested-pairs.ts';
import { scalarPairs } from './scalar-pairs.ts';
import { holding, id, neither, record } from './schema-pair.ts';
import type { PairRow, SchemaPair } from './schema-pair.ts';
import { wholePairs } from './whole-pairs.ts';

const differences: readonly SchemaPair[] = [
  {
    name: 'a name and an alias stand for two fields',
    older: record([id, { name: 'key', type: 'long' }]),
    newer: record([{ ...id, aliases: ['key'] }]),
    ...neither,
    registry: {
      backward: 'refused',
      why: 'Avro for Java throws instead of telling, and the registry takes that for a schema that is none',
    },
  },
];

const pairOf = ([name, older, newer, verdict]: PairRow): SchemaPair => ({
  name,
  older,
  newer,
  ...verdict,
});

const inField = ([name, older, newer, verdict]: PairRow): SchemaPair =>
  pairOf([name, holding(older), holding(newer), verdict]);

/** Every pair, each with a name of its own. */
export const schemaPairs: readonly SchemaPair[] = [
  ...scalarPairs,
  ...[...fieldPairs, ...wholePairs].map(pairOf),
  ...nestedPairs.map(inField),
  ...differences,
];
