import { describe, expect, it } from 'vitest';
import { formatIssues } from '../../configuration/config-issue.ts';
import { YamlSection } from '../../configuration/yaml-section.ts';

/** What `password: ${NAME}` (or another text) reads as, or the findings. */
function read(environment: Record<string, string>, text = 'password: ${NAME}'): string {
  const document = YamlSection.parse(text, environment, (path) => {
    if (path === '/nope') throw new Error('no such file');
    return `from ${path}\n`;
  });
  if (document.kind === 'unreadable') return formatIssues('f', document.issues);
  const value = document.root.string('password');
  return document.issues.length === 0 ? value : formatIssues('f', document.issues);
}

describe('a value from the environment', () => {
  it.each([
    ['a variable wins over its file', { NAME: 'a', NAME_FILE: '/b' }, 'a'],
    ['an empty variable counts as not set', { NAME: '', NAME_FILE: '/b' }, 'from /b'],
    [
      'a file that cannot be read is a finding',
      { NAME_FILE: '/nope' },
      /^f:1:11 password: NAME_FILE/,
    ],
    [
      'nothing at all is one finding',
      {},
      /^f:1:11 password: environment variable NAME is not set[^\n]*$/,
    ],
  ])('%s', (_rule, environment, expected) => {
    expect(read(environment)).toMatch(expected);
  });

  it('takes the default where neither is set, and refuses an empty one', () => {
    expect(read({}, 'password: ${NAME:-d}')).toBe('d');
    expect(read({}, 'password: ${NAME:-}')).toMatch(/expected a value, got an empty text/);
  });
});
