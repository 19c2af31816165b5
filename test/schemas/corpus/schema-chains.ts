import type { CompatibilityLevel } from '../../../schemas/registry.ts';
import { holding, id, optionalNote, record } from './schema-pair.ts';

/** Versions of a subject, oldest first, and what may come next. */
export type SchemaChain = {
  name: string;
  versions: readonly unknown[];
  proposed: unknown;
  /** The levels under which it may. */
  accepted: readonly CompatibilityLevel[];
  /** Where a registry accepts it under other levels: those, and why. */
  registry?: { accepted: readonly CompatibilityLevel[]; why: string };
};

const number = (more: object = {}): object => record([id, { name: 'n', type: 'int', ...more }]);
const backwardLevels: readonly CompatibilityLevel[] = ['BACKWARD', 'BACKWARD_TRANSITIVE'];
const forwardLevels: readonly CompatibilityLevel[] = ['FORWARD', 'FORWARD_TRANSITIVE'];
const fullLevels: readonly CompatibilityLevel[] = ['FULL', 'FULL_TRANSITIVE'];

/** Each tells a level from another; everything is accepted under NONE. */
export const schemaChains: readonly SchemaChain[] = [
  {
    name: 'what fits all versions',
    versions: [record([id]), record([id, optionalNote])],
    proposed: record([id, { ...optionalNote, doc: 'A note.' }]),
    accepted: ['NONE', ...backwardLevels, ...forwardLevels, ...fullLevels],
  },
  {
    name: 'a default goes that records of the first version need',
    versions: [record([id]), number({ default: 0 })],
    proposed: number(),
    accepted: ['NONE', 'BACKWARD', ...forwardLevels, 'FULL'],
  },
  {
    name: 'a default of null goes that records of the first version need',
    versions: [record([id]), record([id, optionalNote])],
    proposed: record([id, { name: optionalNote.name, type: optionalNote.type }]),
    accepted: ['NONE', 'BACKWARD', ...forwardLevels, 'FULL'],
    registry: {
      accepted: ['NONE', ...backwardLevels, ...forwardLevels, ...fullLevels],
      why:
        'it takes schemas that differ in a default of null alone for one and the same, and so gives back the second ' +
        'version, whose default stays in force',
    },
  },
  {
    name: 'a field goes that readers of the first version need',
    versions: [number(), number({ default: 0 })],
    proposed: record([id]),
    accepted: ['NONE', ...backwardLevels, 'FORWARD', 'FULL'],
  },
  {
    name: 'a number is widened twice',
    versions: [holding('int'), holding('long')],
    proposed: holding('double'),
    accepted: ['NONE', ...backwardLevels],
  },
  {
    name: 'a number is narrowed twice',
    versions: [holding('double'), holding('long')],
    proposed: holding('int'),
    accepted: ['NONE', ...forwardLevels],
  },
  {
    name: 'a type that the first version did not have is widened',
    versions: [holding('boolean'), holding('int')],
    proposed: holding('long'),
    accepted: ['NONE', 'BACKWARD'],
  },
  {
    name: 'a break that the first version would take back',
    versions: [holding('boolean'), holding('int')],
    proposed: record([{ name: 'a', type: 'boolean' }, optionalNote]),
    accepted: ['NONE'],
  },
  {
    name: 'only the version between breaks',
    versions: [
      holding('int'),
      holding('string'),
      record([{ name: 'a', type: 'int' }, optionalNote]),
    ],
    proposed: holding('long'),
    accepted: ['NONE', 'BACKWARD'],
  },
];
