import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NormaliserName } from '../../../enrich/config/pipeline-config.ts';
import { normaliseKey, normaliseSlices } from '../../../enrich/state/normalise.ts';
import type { KeySlices } from '../../../enrich/state/normalise.ts';

const names: readonly NormaliserName[] = ['none', 'lower-case', 'trim', 'url'];
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const normalise = (name: NormaliserName, key: string) => text(normaliseKey(name, bytes(key)));

const lower = (part: string) => part.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());

/** The same rules on text, by regular expressions. */
function model(name: NormaliserName, key: string): string {
  switch (name) {
    case 'none':
      return key;
    case 'lower-case':
      return lower(key);
    case 'trim':
      return key.replaceAll(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
    case 'url': {
      const kept = key.replace(/#[^]*$/, '');
      const match = /^([A-Za-z][A-Za-z0-9+.-]*:)(?:(\/\/)([^/?]*))?([^]*)$/.exec(kept);
      if (match === null) return kept;
      const [, scheme = '', slashes = '', authority = '', rest = ''] = match;
      const host = authority.lastIndexOf('@') + 1;
      return (
        lower(scheme) + slashes + authority.slice(0, host) + lower(authority.slice(host)) + rest
      );
    }
  }
}

const urlText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'http',
        'HTTPS',
        ':',
        '//',
        '/',
        '?',
        '#',
        '@',
        'Host',
        ':8080',
        '.',
        '%2F',
        'é',
      ),
      fc.string({ maxLength: 3, unit: 'grapheme' }),
    ),
    { maxLength: 10 },
  )
  .map((parts) => parts.join(''));
const keyText = fc.oneof(
  urlText,
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', ' A ', '\t#'),
);

function slicesOf(keys: readonly string[], before: string): KeySlices {
  const encoded = [before, ...keys].map(bytes);
  const offsets = new Int32Array(keys.length + 1);
  offsets[0] = encoded[0]?.length ?? 0;
  for (let i = 0; i < keys.length; i++) {
    offsets[i + 1] = (offsets[i] ?? 0) + (encoded[i + 1]?.length ?? 0);
  }
  return { bytes: Buffer.concat(encoded), offsets };
}

const list = ({ bytes: all, offsets }: KeySlices, count: number) =>
  Array.from({ length: count }, (_, i) => text(all.subarray(offsets[i], offsets[i + 1])));

describe.each(names)('the normaliser %s', (name) => {
  it('agrees with its rules on text, key by key and in slices', () => {
    fc.assert(
      fc.property(fc.array(keyText, { maxLength: 20 }), keyText, (keys, before) => {
        const expected = keys.map((key) => model(name, text(bytes(key))));
        expect(keys.map((key) => normalise(name, key))).toEqual(expected);
        const slices = slicesOf(keys, before);
        const original = slices.bytes.slice();
        const found = normaliseSlices(name, slices, keys.length);
        expect(list(found, keys.length)).toEqual(expected);
        expect(slices.bytes).toEqual(original);
      }),
    );
  });

  it('changes nothing the second time, and then returns what it was given', () => {
    fc.assert(
      fc.property(fc.array(keyText, { maxLength: 20 }), (keys) => {
        const once = normaliseSlices(name, slicesOf(keys, ''), keys.length);
        expect(normaliseSlices(name, once, keys.length)).toBe(once);
      }),
    );
  });
});

describe('the normaliser url', () => {
  it.each([
    ['HTTPS://Shop.Example/Path?Q=A#Top', 'https://shop.example/Path?Q=A'],
    ['https://User:Pass@Shop.Example:443', 'https://User:Pass@shop.example:443'],
    ['http://HOST?Q=A@B/C', 'http://host?Q=A@B/C'],
    ['http://HOST/#', 'http://host/'],
    ['Shop.Example/Path#x', 'Shop.Example/Path'],
    ['//Host/Path', '//Host/Path'],
    ['MAILTO:Ann@Host', 'mailto:Ann@Host'],
    ['1http://Host/', '1http://Host/'],
    ['http://München.Example/', 'http://münchen.example/'],
    ['http://ÄRZTE.example/', 'http://Ärzte.example/'],
    ['', ''],
    ['#only', ''],
  ])('makes %s %s', (before, after) => {
    expect(normalise('url', before)).toBe(after);
  });

  it('does not take the end of the key before for a scheme', () => {
    const slices = slicesOf(['x:', '//Host/', 'http:', '//HOST/'], '');
    expect(list(normaliseSlices('url', slices, 4), 4)).toEqual([
      'x:',
      '//Host/',
      'http:',
      '//HOST/',
    ]);
  });
});
