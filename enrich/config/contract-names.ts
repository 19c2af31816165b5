import { renameSourceColumns } from '../../connectors/source-columns.ts';
import { contractFields } from '../../schemas/contract-field.ts';
import type { Contract } from '../../schemas/contract.ts';
import { matchFields } from '../../schemas/match-fields.ts';

/**
 * A schema that Debezium registered for keys or values of a table, with each column under the name that the contract has
 * for it: a column that the source calls by an alias of a field is that field. So rows from before a rename and after it
 * are read alike. The very schema where no alias is of use. Errors: `config` for a contract that has no columns.
 */
export function withContractNames(contract: Contract, avroSchema: object): object {
  return renameSourceColumns(avroSchema, (names) => {
    const columns = names.map((name) => ({ name }));
    const matches = [...matchFields(contractFields(contract), columns)];
    const others = matches.filter(([field, column]) => field.name !== column.name);
    return new Map(others.map(([field, column]) => [column.name, field.name]));
  });
}
