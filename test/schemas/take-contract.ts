import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadContract } from '../../schemas/load-contracts.ts';
import { ContractError } from '../../schemas/error.ts';

const directory = await mkdtemp(join(tmpdir(), 'contracts-'));

/** Whether a file that holds the schema is taken as a contract. Throws where it is refused in any other way than told. */
export async function isTakenAsContract(avroSchema: unknown): Promise<boolean> {
  await writeFile(join(directory, 'order.avsc'), JSON.stringify(avroSchema));
  try {
    await loadContract(directory, 'order');
    return true;
  } catch (error) {
    const isTold = error instanceof ContractError && error.kind === 'config';
    if (isTold && error.message.includes('order.avsc: ')) return false;
    throw error;
  }
}
