import { typeText } from '@iceberg-js/rest-client-shim/spec/type-text.ts';
import type { Command } from 'commander';
import { eventFields } from '../enrich/pipeline/event-fields.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { renderTable, terminal } from './terminal.ts';

export function addValidateCommand(program: Command): void {
  program
    .command('validate')
    .description('check pipeline.yaml and its contracts, without the network')
    .option('--show', 'print the configuration in force, secrets masked')
    .addHelpText('after', '\nExample:\n  $ tributary validate --show')
    .action((_options, command: Command) => validate(command.optsWithGlobals()));
}

async function validate(options: ConfigOptions & { show?: boolean }): Promise<void> {
  const { config, contracts } = await loadConfig(options);
  const fields = eventFields({ config, ...contracts });
  terminal.print(`${options.config} is valid: pipeline ${config.pipeline}`);
  terminal.print(`\ntable ${[...config.table.namespace, config.table.name].join('.')}`);
  const rows = fields.map(({ name, type, required }) => [
    name,
    typeText(type),
    required ? 'yes' : '',
  ]);
  terminal.print(renderTable(['column', 'type', 'required'], rows));
  if (options.show === true) terminal.print(`\n${JSON.stringify(config, null, 2)}`);
}
