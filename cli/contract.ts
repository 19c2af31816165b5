import { Option } from 'commander';
import type { Command } from 'commander';
import { compatibilityLevels } from '../schemas/compatibility-level.ts';
import { registerContracts } from '../schemas/register-contracts.ts';
import { checkAgainst, parseAgainst } from './contract-check.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { look } from './look.ts';
import { openSchemaRegistry } from './open-lake.ts';
import { terminal } from './terminal.ts';

const CHECK_NOTES = `
Each contract that pipeline.yaml names is held against the older one: the stream's against the versions of
<topic>-value, a dimension's against the row that Debezium registered under <topic>-value; with git:REF each
file against itself at that ref. Without --mode the subject's level counts, and BACKWARD where it is NONE.

Exit codes: 0 nothing breaks, 1 something breaks, 2 usage, 78 no such ref, or the registry is away.

Examples:
  $ tributary contract check                        against the schema registry
  $ tributary contract check --against git:main     against the files on main, without the network
  $ tributary contract check --against git:origin/main --mode FULL_TRANSITIVE --json`;

export function addContractCommands(program: Command): void {
  const contract = program.command('contract').description('the Avro contracts in schemas/');
  contract
    .command('check')
    .description('say what a change of the contracts breaks: old data, old readers, the table')
    .addOption(
      new Option('--against <where>', 'the older side: registry, or git:REF')
        .argParser(parseAgainst)
        .default({ kind: 'registry' }, 'registry'),
    )
    .addOption(
      new Option('--mode <level>', 'hold the stream to this level').choices(compatibilityLevels),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', CHECK_NOTES)
    .action((_options, command: Command) => checkAgainst(command.optsWithGlobals()));
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
