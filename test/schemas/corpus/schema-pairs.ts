import { fieldPairs } from './field-pairs.ts';
import { nestedPairs } from './nested-pairs.ts';
import { scalarPairs } from './scalar-pairs.ts';
import { forwardOnly, holding, id, neither, record } from './schema-pair.ts';
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
  {
    name: 'an alias stands for a field that is beside it',
    older: record([id]),
    newer: record([id, { name: 'row_id', type: 'long', aliases: ['id'] }]),
    ...forwardOnly,
    registry: {
      backward: true,
      why: 'the check of Avro for Java lets two fields be one of old records, its reader finds none for the first',
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
