import type { SourceColumn } from '../../connectors/source-columns.ts';
import { contractFields, isScalarField } from '../../schemas/contract-field.ts';
import type { ScalarField } from '../../schemas/contract-field.ts';
import type { Contract } from '../../schemas/contract.ts';
import type { SchemaChangeKind } from '../../schemas/schema-change-kind.ts';
import { fitOf, sourceTypeText, widens } from './check-source-columns.ts';
import type { DimensionConfig } from './pipeline-config.ts';

/** One difference of consequence between a dimension's contract and the rows that Debezium writes. */
export type SourceChange = {
  kind: SchemaChangeKind;
  /** A field of the contract that pipeline.yaml takes from the rows: a key or a carried column. */
  column: string;
  isKey: boolean;
  contractType: string;
  /** As Debezium names it; undefined where the rows have no such column. */
  sourceType: string | undefined;
};

/**
 * What of the keys and carried columns of a dimension the rows lack, or have in a type of which some values do not fit.
 * Columns that are not carried, and types that the contract's column holds anyway, are no difference.
 */
export function sourceChanges(options: {
  dimension: Pick<DimensionConfig, 'primaryKey' | 'joinKey' | 'columns'>;
  contract: Contract;
  columns: readonly SourceColumn[];
}): SourceChange[] {
  const { dimension, contract, columns } = options;
  const keys = new Set([dimension.primaryKey, dimension.joinKey]);
  const used = new Set([...keys, ...dimension.columns]);
  return contractFields(contract)
    .filter(isScalarField)
    .filter(({ name }) => used.has(name))
    .flatMap((field) => {
      const { name, tableType } = field;
      const column = columns.find((candidate) => candidate.name === name);
      const kind = column === undefined ? 'drop-field' : changeOf(field, column);
      const isKey = keys.has(name);
      // Keys are taken by value: a wider one that fits is the same key.
      if (kind === undefined || (isKey && kind === 'widen-type')) return [];
      const type = column === undefined ? undefined : sourceTypeText(column);
      return [{ kind, column: name, isKey, contractType: tableType, sourceType: type }];
    });
}

function changeOf(
  { tableType }: ScalarField,
  column: SourceColumn,
): 'widen-type' | 'change-type' | undefined {
  switch (fitOf(tableType, column)) {
    case 'every':
    case 'some':
      return undefined;
    case 'narrower':
      return widens(tableType, column) ? 'widen-type' : 'change-type';
    case 'none':
      return 'change-type';
  }
}
