import { describe, expect, it } from 'vitest';
import type { SourceColumn } from '../../../connectors/source-columns.ts';
import { sourceChanges } from '../../../enrich/config/source-changes.ts';
import { contractOf } from '../../schemas/avro-encoding.ts';

const dimension = { primaryKey: 'id', joinKey: 'code', columns: ['n'] };
const id: SourceColumn = { name: 'id', form: 'long', type: 'long' };
const code: SourceColumn = { name: 'code', form: 'text', type: 'string' };

function changes(type: unknown, ...columns: readonly SourceColumn[]) {
  const contract = contractOf([
    { name: 'id', type: 'int' },
    { name: 'code', type: 'string' },
    { name: 'n', type: ['null', type], default: null },
    { name: 'not_carried', type: 'int' },
  ]);
  return sourceChanges({ dimension, contract, columns }).map(
    ({ kind, column }) => `${kind} ${column}`,
  );
}

const n = (form: SourceColumn['form'], type: string = form): SourceColumn => ({
  name: 'n',
  form,
  type,
});
const numeric = (precision: number, scale: number): SourceColumn => ({
  ...n('decimal', 'org.apache.kafka.connect.data.Decimal'),
  digits: { precision, scale },
});
const decimal = { type: 'bytes', logicalType: 'decimal', precision: 12, scale: 2 };

describe('a carried column', () => {
  it.each<[string, unknown, SourceColumn]>([
    ['of the same type', 'int', n('int')],
    ['that is narrower at the source', 'long', n('int')],
    ['with fewer digits', decimal, numeric(10, 2)],
    ['with as many digits and fewer places', decimal, numeric(10, 0)],
    [
      'without bounds at the source',
      decimal,
      n('decimal', 'io.debezium.data.VariableScaleDecimal'),
    ],
    [
      'that the contract reads from text',
      { type: 'string', logicalType: 'uuid' },
      n('text', 'string'),
    ],
    ['that is real at the source', 'double', n('real', 'float')],
  ])('%s is no change', (_what, type, column) => {
    expect(changes(type, id, code, column)).toEqual([]);
  });

  it.each<[string, unknown, SourceColumn]>([
    ['int to bigint', 'int', n('long')],
    ['real to double precision', 'float', n('real', 'double')],
    ['numeric with more digits', decimal, numeric(14, 2)],
  ])('%s is wider', (_what, type, column) => {
    expect(changes(type, id, code, column)).toEqual(['widen-type n']);
  });

  it.each<[string, unknown, SourceColumn]>([
    ['int to text', 'int', n('text', 'string')],
    ['text to int', 'string', n('int')],
    ['numeric with more places', decimal, numeric(12, 4)],
    ['numeric with more digits than a table holds', decimal, numeric(40, 2)],
    ['date to bigint', { type: 'int', logicalType: 'date' }, n('long')],
    ['text to an array', 'string', n('nested', 'array')],
  ])('%s is another type', (_what, type, column) => {
    expect(changes(type, id, code, column)).toEqual(['change-type n']);
  });

  it('that is not there is dropped', () => {
    expect(changes('int', id, code)).toEqual(['drop-field n']);
  });
});

describe('a key', () => {
  it('that is not there is told as one', () => {
    const contract = contractOf([
      { name: 'id', type: 'long' },
      { name: 'code', type: 'string' },
    ]);
    expect(
      sourceChanges({ dimension: { ...dimension, columns: [] }, contract, columns: [id] }),
    ).toEqual([
      {
        kind: 'drop-field',
        column: 'code',
        isKey: true,
        contractType: 'string',
        sourceType: undefined,
      },
    ]);
  });

  it('that is wider is the same key, and of another form is not', () => {
    expect(changes('int', id, code, n('int'))).toEqual([]);
    expect(changes('int', { ...id, form: 'text', type: 'string' }, code, n('int'))).toEqual([
      'change-type id',
    ]);
  });
});
