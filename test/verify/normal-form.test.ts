import { describe, expect, it } from 'vitest';
import { normaliserOf, normaliseUrl } from '../../verify/normal-form.ts';

describe('the normal form of a url', () => {
  it.each([
    ['HTTPS://WWW.A.Example/Path?Q=1#Frag', 'https://www.a.example/Path?Q=1'],
    ['https://A.example', 'https://a.example'],
    ['https://A.example?Q', 'https://a.example?Q'],
    ['https://Ann@B:Pass@A.Example:80/X', 'https://Ann@B:Pass@a.example:80/X'],
    ['https://Ünï.Example/', 'https://Ünï.example/'],
    ['MAILTO:Ann@A.example', 'mailto:Ann@A.example'],
    ['/Path#x', '/Path'],
    ['no-URL', 'no-URL'],
    ['', ''],
  ])('%s', (url, normal) => {
    expect(normaliseUrl(url)).toBe(normal);
    expect(normaliseUrl(normal)).toBe(normal);
  });
});

describe('other normal forms', () => {
  it('lower-case touches ASCII letters alone', () => {
    expect(normaliserOf('lower-case')('ÄbC')).toBe('Äbc');
  });

  it('trim takes ASCII spaces at both ends', () => {
    expect(normaliserOf('trim')('\t a b\r\n')).toBe('a b');
    expect(normaliserOf('trim')('\u00a0a')).toBe('\u00a0a');
  });

  it('none leaves keys alone', () => {
    expect(normaliserOf('none')(' A#')).toBe(' A#');
  });
});
