import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { compatibilityLevels } from '../schemas/compatibility-level.ts';
import { parseAgainst } from './against.ts';
import { checkAgainst } from './contract-check.ts';
import { exportContracts } from './contract-export.ts';
import { previewContracts } from './contract-preview.ts';
import { registerStreamContract } from './contract-register.ts';
import { EXIT } from './exit-code.ts';

const CHECK_NOTES = `
The stream's contract is held against the versions of <topic>-value, a dimension's against the row that Debezium
registered under <topic>-value, and the columns that all of them make against the table in the catalog. With git:REF
the older side is what the pipeline.yaml of that ref names: the stream's contract, and the table that its files make.
Without --mode the subject's level counts, and BACKWARD where it is NONE. A change of the table that pipeline.yaml
allows is a note.

Exit codes: 0 nothing breaks, 1 something breaks, 2 usage, 78 no such ref, one without these files, or the registry
or the catalog is away.

Examples:
  $ tributary contract check                        against the registry and the catalog
  $ tributary contract check --against git:main     against the files on main, without the network
  $ tributary contract check --against git:origin/main --mode FULL_TRANSITIVE --json`;

const PREVIEW_NOTES = `
Holds the columns that the contracts and pipeline.yaml make against the table in the catalog, and decodes the newest
records of the stream's topic, taken evenly from the ends of its partitions. Nothing is written. What records are
compared with is the newest version of <topic>-value, or the contract at git:REF. With --offline the table is the one
that the files of git:REF make; yours may have other field ids.

Exit codes: 0 nothing is refused, 1 the table cannot or may not follow, or records would be refused that are not
today, 2 usage, 78 no such ref, one without these files, or something is away.

Examples:
  $ tributary contract preview                                  the table, and the newest 1000 records
  $ tributary contract preview --records 20000 --markdown       for a review
  $ tributary contract preview --offline --against git:main     files alone, without the network`;

const REGISTER_NOTES = `
What "contract check" calls breaking is refused, in the same words. Without --mode the subject keeps its level; where
that is NONE the contract is held to BACKWARD, and the subject to nothing. With --mode the level changes once the
contract is registered, or right before where the old level forbids it; a refusal leaves it as it was. What ended
half-way is completed by the same command.

Exit codes: 0 registered, or there already, 1 it breaks something, or the registry refuses it, 2 usage, 78 the files or
the credentials are wrong, or the registry or the catalog is away.

Examples:
  $ tributary contract register --dry-run               what would be registered, and nothing more
  $ tributary contract register
  $ tributary contract register --mode FULL_TRANSITIVE  hold this version and all to come to that level`;

const EXPORT_NOTES = `
One document of the Open Data Contract Standard v3.1.0: the topics with their Avro types, keys and joins, and the table
that they make with its Iceberg types.

Examples:
  $ tributary contract export > clicks.odcs.yaml
  $ tributary contract export --release 2.3.0`;

const RECORDS_MAX = 1_000_000;

export function addContractCommands(program: Command): void {
  const contract = program.command('contract').description('the Avro contracts in schemas/');
  addCheck(contract);
  addPreview(contract);
  contract
    .command('register')
    .description("register the stream's contract under <topic>-value, unless it breaks something")
    .addOption(levelOption('hold the subject to this level from now on'))
    .option('--dry-run', 'say what would be changed, and change nothing')
    .addHelpText('after', REGISTER_NOTES)
    .action(async (_options, command: Command) => {
      const registers = await registerStreamContract(command.optsWithGlobals());
      if (!registers) process.exitCode = EXIT.failedCheck;
    });
  contract
    .command('export')
    .description(
      'print the contracts and the table as a document of the Open Data Contract Standard',
    )
    .option('--release <version>', 'the version that the document says it is', release, '1.0.0')
    .addHelpText('after', EXPORT_NOTES)
    .action((_options, command: Command) => exportContracts(command.optsWithGlobals()));
}

function addCheck(contract: Command): void {
  contract
    .command('check')
    .description('say what a change of the contracts breaks: old data, old readers, the table')
    .addOption(againstOption())
    .addOption(levelOption('hold the stream to this level'))
    .option('--json', 'print JSON')
    .addHelpText('after', CHECK_NOTES)
    .action((_options, command: Command) => checkAgainst(command.optsWithGlobals()));
}

function addPreview(contract: Command): void {
  contract
    .command('preview')
    .description('say what the contracts would do to the table and to the newest records')
    .addOption(againstOption())
    .option('--records <n>', 'how many of the newest records to decode; 0 for none', count, 1_000)
    .option('--offline', 'hold against the table that the files of git:REF make')
    .addOption(new Option('--json', 'print JSON').conflicts('markdown'))
    .option('--markdown', 'print Markdown')
    .addHelpText('after', PREVIEW_NOTES)
    .action((_options, command: Command) => {
      const options: Parameters<typeof previewContracts>[0] = command.optsWithGlobals();
      if (options.offline === true && options.against.kind !== 'git') {
        command.error('error: --offline needs a ref to compare with: --against git:main');
      }
      return previewContracts(options);
    });
}

function againstOption(): Option {
  return new Option('--against <where>', 'the older side: registry, with the catalog, or git:REF')
    .argParser(parseAgainst)
    .default({ kind: 'registry' }, 'registry');
}

function levelOption(description: string): Option {
  return new Option('--mode <level>', description).choices(compatibilityLevels);
}

function release(text: string): string {
  if (text.trim() !== '') return text;
  throw new InvalidArgumentError('expected a version, such as 2.3.0.');
}

function count(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= RECORDS_MAX) return value;
  throw new InvalidArgumentError(`expected a whole number up to ${RECORDS_MAX}.`);
}
