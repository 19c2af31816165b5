import { eventFields } from '../enrich/pipeline/tables.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions } from './load-config.ts';
import { renderTable, terminal } from './terminal.ts';

/** Checks pipeline.yaml and its contracts without touching the network, and shows the table they make. */
export async function validate(options: ConfigOptions & { show?: boolean }): Promise<void> {
  const { config, contracts } = await loadConfig(options);
  const fields = eventFields({ config, ...contracts });
  terminal.print(`${options.config} is valid: pipeline ${config.pipeline}`);
  terminal.print(`\ntable ${[...config.table.namespace, config.table.name].join('.')}`);
  const rows = fields.map(({ name, type, required }) => [
    name,
    typeof type === 'string' ? type : type.type,
    required ? 'yes' : '',
  ]);
  terminal.print(renderTable(['column', 'type', 'required'], rows));
  if (options.show === true) terminal.print(`\n${JSON.stringify(config, null, 2)}`);
}
