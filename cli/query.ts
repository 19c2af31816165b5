import type { Command } from 'commander';
import { openTrino } from '../verify/trino.ts';
import { addressOf } from './environment.ts';
import { EXIT, describeForUser, exitCodeOf } from './exit-code.ts';
import { assertAnswers } from './look.ts';
import { renderTable, terminal } from './terminal.ts';

type QueryOptions = { trino?: string; catalog: string; schema: string };

export function addQueryCommand(program: Command): void {
  program
    .command('query <sql>')
    .description('ask Trino, and print the answer as a table')
    .option('--trino <url>', "Trino's address; by default TRINO_URL, else the native stack's")
    .option('--catalog <name>', 'catalog', 'lake')
    .option('--schema <name>', 'schema', 'lake')
    .addHelpText(
      'after',
      '\nExample:\n  $ tributary query "select user_country, count(*) from clicks group by 1 order by 2 desc"',
    )
    .action(query);
}

async function query(sql: string, options: QueryOptions): Promise<void> {
  const { catalog, schema } = options;
  const url = addressOf('trino', options.trino);
  await assertAnswers(`Trino at ${url}`, `${url.replace(/\/+$/, '')}/v1/info`);
  try {
    const { columns, rows } = await openTrino({ url, user: 'tributary', catalog, schema }).query(
      sql,
    );
    const header = columns.map(({ name }) => name);
    // What changes something, such as `alter table`, has no answer.
    if (header.length === 0) terminal.progress('done');
    else terminal.print(renderTable(header, rows));
  } catch (error) {
    // What Trino says about a statement is an answer, not a mistake in a file.
    if (exitCodeOf(error) !== EXIT.configuration) throw error;
    terminal.progress(`tributary: ${describeForUser(error)}`);
    process.exitCode = EXIT.failedCheck;
  }
}
