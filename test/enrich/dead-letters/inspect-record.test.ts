import { describe, expect, it } from 'vitest';
import { hexDump, inspectRecord } from '../../../enrich/dead-letters/inspect-record.ts';
import { remedyOf } from '../../../enrich/dead-letters/remedy.ts';
import { CORRUPT_KINDS } from '../../../generate/corrupt.ts';
import { clickSchema, encodeClick } from '../pipeline/records.ts';

const click = encodeClick(1, { userId: 7, url: 'https://a/', deviceId: 'd' });

describe('an inspected record', () => {
  it('shows each field and where it ends', () => {
    const { fields, stoppedBy } = inspectRecord(click, clickSchema);
    expect(stoppedBy).toBeUndefined();
    expect(fields.map(({ name, text }) => [name, text]).slice(1, 4)).toEqual([
      ['user_id', '7'],
      ['url', '"https://a/"'],
      ['device_id', '"d"'],
    ]);
    expect(fields.at(-1)?.end).toBe(click.length);
  });

  it('shows as much as can be read, and what stopped it', () => {
    const cut = inspectRecord(click.subarray(0, 14), clickSchema);
    expect(cut.fields.map(({ name }) => name)).toEqual(['event_time', 'user_id']);
    expect(cut.stoppedBy).toMatch(/^field url, at byte \d+: the record ends inside it$/);
    const longer = inspectRecord(Buffer.concat([click, Buffer.of(1)]), clickSchema);
    expect(longer.stoppedBy).toBe('1 bytes follow the last field');
    expect(inspectRecord(click, { type: 'string' }).stoppedBy).toContain('not a record');
  });

  it('shows values as bytes where avsc is stricter than the producer', () => {
    const field = { name: 'a', type: ['string', 'null'], default: null };
    const odd = { type: 'record', name: 'L', fields: [field] } as const;
    const value = Buffer.from('0000000001000278', 'hex');
    expect(inspectRecord(value, odd)).toEqual({
      fields: [{ name: 'a', text: '0x000278', end: 8 }],
      stoppedBy: undefined,
    });
  });

  it('says of a schema that is none why it is none', () => {
    const none = { type: 'record', name: 'L', fields: [{ name: 'a', type: 'Missing' }] } as const;
    const { fields, stoppedBy } = inspectRecord(click, none);
    expect(fields).toEqual([]);
    expect(stoppedBy).toMatch(
      /^its schema is an invalid Avro schema: field a: the type Missing is/,
    );
  });

  it('shows what is beyond 2^53 as bytes', () => {
    const long = { type: 'record', name: 'L', fields: [{ name: 'a', type: 'long' }] };
    const value = Buffer.from('0000000001feffffffffffffffff01', 'hex');
    expect(inspectRecord(value, long).fields).toMatchObject([
      { name: 'a', text: '0xfeffffffffffffffff01' },
    ]);
  });
});

describe('a hex dump', () => {
  it('has sixteen bytes a line, and says what it leaves out', () => {
    const text = hexDump(Buffer.from('0123456789abcdefgh\u0000'), 17);
    expect(text.split('\n')).toEqual([
      '00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef',
      `00000010  67${' '.repeat(47)}g`,
      '... 2 bytes more',
    ]);
  });
});

describe('what to do', () => {
  it('is said for each kind of the stream, each time something else', () => {
    const remedies = CORRUPT_KINDS.map((kind) => remedyOf(kind, true));
    expect(new Set(remedies).size).toBe(CORRUPT_KINDS.length);
  });

  it('is a resnapshot for changes, whatever the kind', () => {
    expect(remedyOf('truncated', false)).toContain('connectors resnapshot');
    expect(remedyOf('constructor', true)).toBe('Mend the cause that the message names.');
  });
});
