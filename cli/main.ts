#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { EXIT, describeForUser, exitCodeOf } from './exit-code.ts';
import { addConnectorCommands } from './connectors.ts';
import { addContractCommands } from './contract.ts';
import { addDemoCommand } from './demo.ts';
import { addDlqCommands } from './dlq.ts';
import { addGenerateCommand } from './generate.ts';
import { addQueryCommand } from './query.ts';
import { addRunCommand } from './run.ts';
import { addStatusCommand } from './status.ts';
import { addValidateCommand } from './validate.ts';
import { addVerifyCommand } from './verify.ts';
import { terminal } from './terminal.ts';

/** For what a command leaves open when it gives up waiting. */
const LINGER_MS_MAX = 500;

const EXAMPLES = `
Examples:
  $ tributary validate                    check pipeline.yaml and the contracts, show the table
  $ tributary connectors apply            topics and Debezium connectors, until they run
  $ tributary contract check              what a change of the contracts breaks
  $ tributary contract preview            what it does to the table and to the newest records
  $ tributary contract register           the stream's contract into the schema registry
  $ tributary run                         the pipeline; SIGTERM stops it cleanly
  $ tributary verify --joins              every offset once, every enriched value right
  $ tributary dlq list                    the records that could not become rows, and why
  $ tributary query "select count(*) from clicks"

Exit codes: 0 ok, 1 failed check or something is away, 2 usage, 70 internal, 78 configuration.`;

function createProgram(): Command {
  const program = new Command('tributary')
    .description(
      'Joins clicks with live dimension state and commits them to Iceberg, exactly once.',
    )
    .option('--config <file>', 'the pipeline file', 'pipeline.yaml')
    .option('--contracts <directory>', 'the Avro contracts', 'schemas')
    .addHelpText('after', EXAMPLES)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(tributary --help lists the commands)')
    .exitOverride();
  addRunCommand(program);
  addValidateCommand(program);
  addConnectorCommands(program);
  addContractCommands(program);
  addGenerateCommand(program);
  addStatusCommand(program);
  addVerifyCommand(program);
  addDlqCommands(program);
  addQueryCommand(program);
  addDemoCommand(program);
  return program;
}

async function main(): Promise<number> {
  try {
    await createProgram().parseAsync();
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    terminal.progress(`tributary: ${describeForUser(error)}`);
    return exitCodeOf(error);
  }
}

// A reader that has seen enough, such as head, closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});
process.exitCode = await main();
// Whoever does not answer may still hold a connection; the command has said all it has to say.
setTimeout(() => process.exit(), LINGER_MS_MAX).unref();
