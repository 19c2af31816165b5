import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assertAvro } from './avro-type.ts';
import { wrongDefault } from './check-defaults.ts';
import { contractFields } from './contract-field.ts';
import type { Contract } from './contract.ts';
import { ContractError } from './error.ts';

const contractName = /^[A-Za-z0-9_-]+$/;

/**
 * Reads `<directory>/<name>.avsc` and checks that it is Avro to the letter, so that a registry and its users take it, that
 * every field can be a column of the table, and every default a value of its field.
 * Errors: `config`, naming the file, the field, the reason and what to do.
 */
export async function loadContract(directory: string, name: string): Promise<Contract> {
  if (!contractName.test(name)) {
    throw new ContractError(
      'config',
      `a contract's name has letters, digits, _ and -: got ${name}`,
    );
  }
  const file = join(directory, `${name}.avsc`);
  const contract: Contract = { name, avroSchema: parseFile(file, await readContract(file, name)) };
  try {
    checkContract(contract);
  } catch (cause) {
    if (!(cause instanceof ContractError)) throw cause;
    const context = { ...cause.context, contract: name, file };
    throw new ContractError('config', `${file}: ${cause.message}`, { context, cause });
  }
  return contract;
}

function checkContract(contract: Contract): void {
  assertAvro(contract.avroSchema);
  const wrong = wrongDefault(contractFields(contract));
  if (wrong !== undefined) throw new ContractError('config', wrong);
}

async function readContract(file: string, name: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ContractError('config', `contract ${name}: cannot read ${file}`, {
      context: { contract: name, file },
      cause,
    });
  }
}

function parseFile(file: string, text: string): Contract['avroSchema'] {
  try {
    return JSON.parse(text) as Contract['avroSchema'];
  } catch (cause) {
    throw new ContractError('config', `${file} is not JSON: ${(cause as Error).message}`, {
      context: { file },
      cause,
    });
  }
}
