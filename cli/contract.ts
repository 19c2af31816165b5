import type { Command } from 'commander';
import { registerContracts } from '../schemas/register-contracts.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { look } from './look.ts';
import { openSchemaRegistry } from './open-lake.ts';
import { terminal } from './terminal.ts';

export function addContractCommands(program: Command): void {
  const contract = program.command('contract').description('the Avro contracts in schemas/');
  contract
    .command('register')
    .description(
      "register the stream's contract under <topic>-value; a second call changes nothing",
    )
    .addHelpText('after', '\nExample:\n  $ tributary contract register')
    .action((_options, command: Command) => registerStreamContract(command.optsWithGlobals()));
}

/** Registers the stream's contract and says what changed. */
export async function registerStreamContract(options: ConfigOptions): Promise<void> {
  const { config, contracts } = await loadConfig(options);
  const { topic } = config.stream;
  const registrations = await look(
    `the schema registry at ${config.registry.url}`,
    registerContracts(openSchemaRegistry(config), [{ topic, contract: contracts.stream }]),
  );
  for (const { message } of registrations) terminal.print(message);
}
