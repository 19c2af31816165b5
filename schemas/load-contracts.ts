import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wrongDefault } from './check-defaults.ts';
import { contractFields } from './contract-field.ts';
import type { Contract } from './contract.ts';
import { ContractError } from './error.ts';

const contractName = /^[A-Za-z0-9_-]+$/;

/**
 * Reads `<directory>/<name>.avsc` and checks that every field can be a column of the table, and every default a value of it.
 * Errors: `config`, naming the file, the field and the reason.
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
  const wrong = wrongDefault(contractFields(contract));
  if (wrong !== undefined) {
    throw new ContractError('config', `contract ${name}: ${wrong}`, {
      context: { contract: name, file },
    });
  }
  return contract;
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
