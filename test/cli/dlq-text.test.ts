import { describe, expect, it } from 'vitest';
import { jsonText, renderLetter, renderReplay, renderSummary } from '../../cli/dlq-text.ts';

const letter = {
  topic: 'clicks',
  topicId: 'id-1',
  partition: 3,
  offset: 9_007_199_254_740_993n,
  timestampUs: 1_750_000_000_000_000n,
  ingestedAtUs: 1_750_000_001_000_000n,
  schemaId: 7,
  kind: 'truncated',
  message: 'field url: the record ends inside it',
  key: null,
  value: Buffer.from('0000000007', 'hex'),
};

describe('dead letters as text', () => {
  it('are a table by kind and a list, each record by the name that show takes', () => {
    const text = renderSummary(
      {
        count: 1,
        groups: [
          { topic: 'clicks', kind: 'truncated', count: 1, replayed: 1, firstUs: 0n, lastUs: 0n },
        ],
        newest: [{ ...letter, replayed: true }],
      },
      1,
    );
    expect(text).toContain('1 dead letters');
    expect(text).toMatch(/clicks\/3\/9007199254740993 +truncated +7 +yes +field url/);
    const none = { count: 0, groups: [], newest: [] };
    expect(renderSummary(none, 0)).toBe('no dead letters');
    expect(renderSummary(none, 7)).toBe('none of 7 dead letters match');
  });

  it('are shown one by one with bytes, fields and remedy', () => {
    const inspection = {
      fields: [{ name: 'user_id', text: '7', end: 12 }],
      stoppedBy: 'field url, at byte 12: the record ends inside it',
    };
    const text = renderLetter({ letter, replayed: false, inspection, isStream: true });
    expect(text).toContain('00 00 00 00 07');
    expect(text).toContain('key: null');
    expect(text).toContain('2025-06-15T15:06:40.000Z');
    expect(text).toMatch(/user_id +7 +12/);
    expect(text).toContain('field url, at byte 12');
    expect(text).toContain('dlq replay');
  });

  it('never bring what a terminal obeys', () => {
    const message = 'not an ISO time: \u001b[2J\u009b31m\r\n';
    const shown = { letter: { ...letter, message }, replayed: false, inspection: undefined };
    const text = [
      renderLetter({ ...shown, isStream: false }),
      renderSummary({ count: 1, groups: [], newest: [{ ...letter, message, replayed: false }] }, 1),
      renderReplay(
        { replayed: 0, alreadyReplayed: 0, leftOut: [{ reason: message, count: 1, examples: [] }] },
        { dryRun: true, all: 20 },
      ),
    ].join('\n');
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  });

  it('keep 64-bit numbers and bytes in JSON', () => {
    expect(JSON.parse(jsonText(letter))).toMatchObject({
      offset: '9007199254740993',
      value: 'AAAAAAc=',
    });
  });
});

describe('a replay as text', () => {
  it('says what was sent, what was before, and why the rest stays', () => {
    const report = {
      replayed: 12,
      alreadyReplayed: 3,
      leftOut: [{ reason: 'it has no value', count: 5, examples: [letter] }],
    };
    expect(renderReplay(report, { dryRun: false, all: 20 }).split('\n')).toEqual([
      '12 records sent to the stream again',
      '3 were sent before',
      '5 stay: it has no value (clicks/3/9007199254740993, ...)',
    ]);
    expect(renderReplay(report, { dryRun: true, all: 20 })).toContain('12 records would be sent');
  });

  it('says so where no dead letter was meant', () => {
    const report = { replayed: 0, alreadyReplayed: 0, leftOut: [] };
    expect(renderReplay(report, { dryRun: false, all: 20 })).toBe('none of 20 dead letters match');
  });
});
