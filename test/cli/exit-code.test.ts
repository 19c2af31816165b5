import { describe, expect, it } from 'vitest';
import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import { describeForUser, exitCodeOf } from '../../cli/exit-code.ts';
import { EnrichError } from '../../enrich/error.ts';

describe('the exit code', () => {
  it.each([
    [new EnrichError('config', 'x'), 78],
    [new EnrichError('fenced', 'x'), 78],
    [new EnrichError('corrupt', 'rebuild it'), 78],
    [new EnrichError('unavailable', 'x'), 1],
    [new EnrichError('schema-change', 'x'), 1],
    [new CatalogError('unauthorized', 'x'), 1],
    [new CatalogError('commit-unknown', 'x'), 1],
    [new TypeError('a bug of ours'), 70],
    ['not even an error', 70],
  ])('of %s is %d', (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });
});

describe('the message for the user', () => {
  it('holds the causes, each once, and no stack', () => {
    const root = new Error('connect ECONNREFUSED');
    const cause = new CatalogError('unavailable', 'the catalog is away', { cause: root });
    const text = describeForUser(new EnrichError('unavailable', 'cannot commit', { cause }));
    expect(text.split('\n').map((line) => line.trim())).toEqual([
      'cannot commit',
      'caused by: the catalog is away',
      'caused by: connect ECONNREFUSED',
      expect.stringContaining('`make up`'),
    ]);
  });

  it('has no empty line where a cause ends with one', () => {
    const cause = new Error('Command failed: git\nfatal: not a git repository\n');
    expect(describeForUser(new EnrichError('config', 'no repository', { cause }))).not.toMatch(
      /\n\s*(\n|$)/,
    );
  });

  it('tells of the stack only where a connection was refused', () => {
    const cause = new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]);
    const refused = new EnrichError('unavailable', 'Trino: nothing listens', { cause });
    expect(describeForUser(refused)).toContain('`make up`');
    expect(describeForUser(new EnrichError('unavailable', 'timed out'))).toBe('timed out');
  });

  it('holds the stack of a bug of ours', () => {
    expect(describeForUser(new TypeError('x is not a function'))).toMatch(/\n\s+at /);
  });
});
