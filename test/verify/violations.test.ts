import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openFindings, renderReport } from '../../verify/report.ts';
import { VIOLATIONS, type ViolationKind } from '../../verify/violations.ts';

const kinds = Object.keys(VIOLATIONS) as ViolationKind[];

/** Names and meanings as a reader sees them: Markdown escapes and line breaks do not count. */
const plain = (text: string): string => text.replaceAll('\\', '').replaceAll(/\s+/g, ' ');

it('every violation stands in the operations guide, with its meaning', () => {
  const guide = plain(readFileSync('docs/operations.md', 'utf8'));
  const lacking = kinds.filter((kind) => {
    const row = guide.indexOf(`| \`${kind}\` `);
    return row === -1 || !guide.slice(row).includes(plain(VIOLATIONS[kind]));
  });
  expect(lacking).toEqual([]);
});

it('every violation has a test that makes it happen', () => {
  const folder = 'test/verify';
  const tests = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts') && name !== 'violations.test.ts')
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
    .join('\n');
  expect(kinds.filter((kind) => !tests.includes(kind))).toEqual([]);
});

it('a violation is told with its count, its meaning and the first examples', () => {
  const findings = openFindings();
  for (let i = 0; i < 7; i += 1) findings.add('doubled rows', () => `offset ${i}`, 2);
  const report = { title: 'it', facts: { rows: 3 }, findings: findings.list(), notes: ['so'] };
  expect(renderReport(report).split('\n')).toEqual([
    'FAULTY  it',
    '        rows  3',
    '        14 doubled rows: one offset is several rows: records were taken twice',
    ...[0, 1, 2, 3, 4].map((i) => `          offset ${i}`),
    '        note: so',
  ]);
});
