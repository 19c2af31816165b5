import { describe, expect, it } from 'vitest';
import { sourcePositionOf } from '../../connectors/source-position.ts';

const binlog = (file: string, pos: number | bigint, row?: number): bigint | undefined =>
  sourcePositionOf({ file, pos, ...(row === undefined ? {} : { row }) });

describe('the position of a change', () => {
  it('is the LSN of PostgreSQL', () => {
    expect(sourcePositionOf({ lsn: 43_098_952n })).toBe(43_098_952n);
    expect(sourcePositionOf({ lsn: 5 })).toBe(5n);
  });

  it('of a row that an incremental snapshot read comes before that of every streamed change', () => {
    const read = { connector: 'postgresql', snapshot: 'incremental', lsn: null };
    expect(sourcePositionOf(read)).toBe(0n);
    expect(sourcePositionOf({ ...read, snapshot: 'false' })).toBeUndefined();
  });

  it('grows along a binlog: by row, then position, then file', () => {
    const along = [
      binlog('mysql-bin.000001', 4),
      binlog('mysql-bin.000001', 4, 1),
      binlog('mysql-bin.000001', 4, 5000),
      binlog('mysql-bin.000001', 5n),
      binlog('mysql-bin.000001', 0xffff_ffffn, 3),
      binlog('mysql-bin.000002', 4),
      binlog('mysql-bin.1048575', 0xffff_ffffn, 5000),
    ];
    expect(along).not.toContain(undefined);
    expect(along.map(Number)).toEqual(along.map(Number).toSorted((a, b) => a - b));
    expect(new Set(along).size).toBe(along.length);
    expect(along.at(-1)).toBeLessThan(2n ** 63n);
  });

  it.each([
    [{}],
    [{ lsn: null }],
    [{ file: 'mysql-bin.000001' }],
    [{ file: 'no-number', pos: 4n }],
    [{ file: 'mysql-bin.1048576', pos: 4n }],
    [{ file: 'mysql-bin.000001', pos: 2n ** 32n }],
  ])('is unknown for %o', (source) => {
    expect(sourcePositionOf(source)).toBeUndefined();
  });
});
