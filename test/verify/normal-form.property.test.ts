import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { normaliseKey } from '../../enrich/state/normalise.ts';
import { normaliserOf } from '../../verify/normal-form.ts';

const urlPiece = fc.constantFrom(...'HTTP https : / // ? # @ A.b Ü 9 + x'.split(' '), ' ', '\t');
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.array(urlPiece, { maxLength: 12 }).map((pieces) => pieces.join('')),
);

it.each(['none', 'lower-case', 'trim', 'url'] as const)(
  'the replay and the pipeline agree on the form %s',
  (name) => {
    fc.assert(
      fc.property(text, (key) => {
        const written = Buffer.from(normaliseKey(name, Buffer.from(key))).toString('utf8');
        expect(normaliserOf(name)(key)).toBe(written);
      }),
      { numRuns: 2_000 },
    );
  },
);
