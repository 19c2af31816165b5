import { describe, expect, it } from 'vitest';
import type { PrimitiveType } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { ByteWriter } from '../../../enrich/state/byte-writer.ts';
import { columnCodec } from '../../../enrich/state/column-codec.ts';
import { RowView, writeNull, writeRowHeader } from '../../../enrich/state/state-row.ts';
import type { RowHeader } from '../../../enrich/state/state-row.ts';

const header: RowHeader = {
  deleted: false,
  byPlace: false,
  layout: 3,
  sourcePosition: 43_099_264n,
  partition: 300,
  offset: 8_340n,
  timestampMs: 1_767_323_045_000,
  joinKey: undefined,
};

function encode(
  head: RowHeader,
  columns: readonly (readonly [PrimitiveType, unknown])[],
): Uint8Array {
  const writer = new ByteWriter(8);
  writeRowHeader(writer, head);
  for (const [type, value] of columns) {
    if (value === null) writeNull(writer);
    else columnCodec(type).write(writer, value);
  }
  return writer.bytes.slice(0, writer.length);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('a state row', () => {
  // States on disk hold these bytes: a change of the encoding needs a new version.
  it('of version 2 stands on disk as it always did', () => {
    const row = encode({ ...header, joinKey: Uint8Array.of(0xab, 0xcd) }, [
      ['string', 'Ann'],
      ['string', null],
      ['string', ''],
      ['int', 1984],
      ['long', 2n ** 53n + 1n],
      ['boolean', true],
      ['double', 0.5],
      ['decimal(12, 2)', { unscaled: -1999n, scale: 2 }],
      ['binary', Uint8Array.of(0xff)],
    ]);
    expect(hex(row)).toBe(
      '0202' + // version, flags
        '03' + // layout
        '80a4910200000000' + // source position
        'ac02' + // partition
        '9420000000000000' + // offset
        '888ca97c9b010000' + // timestamp
        '02abcd' + // join key
        '04416e6e' +
        '00' +
        '01' +
        '05c0070000' +
        '090100000000002000' +
        '0201' +
        '09000000000000e03f' +
        '03f831' +
        '02ff',
    );
    expect(hex(encode({ ...header, deleted: true }, []))).toBe(
      '02010380a4910200000000ac029420000000000000888ca97c9b010000',
    );
  });

  it('reads back, at any place in a buffer', () => {
    const row = encode({ ...header, joinKey: new Uint8Array() }, [
      ['string', 'x'.repeat(200)],
      ['string', null],
      ['string', ''],
    ]);
    const view = new RowView().read(Buffer.concat([Uint8Array.of(9, 9), row]), 2, 2 + row.length);
    const { deleted, byPlace, layout, sourcePosition, partition, offset, timestampMs } = view;
    const place = { byPlace, sourcePosition, partition, offset, timestampMs };
    expect({ ...place, deleted, layout, joinKey: undefined }).toEqual(header);
    expect(view.joinKey()?.length).toBe(0);
    expect(view.columnCount).toBe(3);
    expect([...view.lengths.subarray(0, 3)]).toEqual([200, -1, 0]);
    const start = view.starts[0] ?? 0;
    expect(Buffer.from(view.bytes).toString('utf8', start, start + 200)).toBe('x'.repeat(200));
  });

  it.each([0n, -1n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n])(
    'holds the source position %s',
    (sourcePosition) => {
      const row = encode({ ...header, sourcePosition }, []);
      expect(new RowView().read(row, 0, row.length).sourcePosition).toBe(sourcePosition);
    },
  );

  it.each([-1, 0, 2 ** 32, 2 ** 53 - 1])('holds the timestamp %s', (timestampMs) => {
    const row = encode({ ...header, timestampMs }, []);
    expect(new RowView().read(row, 0, row.length).timestampMs).toBe(timestampMs);
  });

  it('holds that it counts by its place', () => {
    const row = encode({ ...header, byPlace: true }, []);
    expect(new RowView().read(row, 0, row.length)).toMatchObject({ byPlace: true, deleted: false });
  });

  it('holds more columns than a view starts with', () => {
    const row = encode(
      header,
      Array.from({ length: 40 }, (_, i) => ['int', i] as const),
    );
    const view = new RowView().read(row, 0, row.length);
    expect(view.columnCount).toBe(40);
    expect(view.bytes[view.starts[39] ?? 0]).toBe(39);
  });

  it('is corrupt when it is cut, empty or of another version', () => {
    const row = encode(header, [['string', 'abc']]);
    for (let end = 0; end < row.length; end++) {
      // A row that is cut between columns has fewer of them; the layout tells.
      if (end === row.length - 4) continue;
      expect(() => new RowView().read(row, 0, end)).toThrow(
        expect.objectContaining({ kind: 'rebuild' }),
      );
    }
    row[0] = 1;
    expect(() => new RowView().read(row, 0, row.length)).toThrow(/version 2/);
  });
});
