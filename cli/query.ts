import type { Command } from 'commander';
import { openTrino } from '../verify/trino.ts';
import { addresses } from './environment.ts';
import { renderTable, terminal } from './terminal.ts';

export function addQueryCommand(program: Command): void {
  program
    .command('query <sql>')
    .description('ask Trino, and print the answer as a table')
    .option('--trino <url>', "Trino's address", addresses.trino)
    .option('--catalog <name>', 'catalog', 'lake')
    .option('--schema <name>', 'schema', 'lake')
    .addHelpText(
      'after',
      '\nExample:\n  $ tributary query "select user_country, count(*) from clicks group by 1 order by 2 desc"',
    )
    .action(async (sql: string, options: { trino: string; catalog: string; schema: string }) => {
      const { trino, catalog, schema } = options;
      const result = await openTrino({ url: trino, user: 'tributary', catalog, schema }).query(sql);
      const header = result.columns.map(({ name }) => name);
      terminal.print(renderTable(header, result.rows));
    });
}
