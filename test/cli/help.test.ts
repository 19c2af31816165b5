import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addConnectorCommands } from '../../cli/connectors.ts';
import { addContractCommands } from '../../cli/contract.ts';
import { addDemoCommand } from '../../cli/demo.ts';
import { addDlqCommands } from '../../cli/dlq.ts';
import { addGenerateCommand } from '../../cli/generate.ts';
import { addQueryCommand } from '../../cli/query.ts';
import { addRunCommand } from '../../cli/run.ts';
import { addStatusCommand } from '../../cli/status.ts';
import { addValidateCommand } from '../../cli/validate.ts';
import { addVerifyCommand } from '../../cli/verify.ts';

function createProgram(): Command {
  const program = new Command('tributary');
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

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) });
  command.outputHelp();
  return text;
}

describe('the help of a command', () => {
  it.each(leaves(createProgram()).map((command) => [command.name(), command] as const))(
    'says what it does, in lower case, and it or its group shows an example: %s',
    (_name, command) => {
      expect(command.description()).toMatch(/^[a-z`].{10,}[^.]$/);
      const group = command.parent?.parent === null ? '' : helpOf(command.parent ?? command);
      expect(helpOf(command) + group).toMatch(/\nExamples?:\n {2}\$ (tributary|make) /);
    },
  );

  it('describes every option', () => {
    const options = leaves(createProgram()).flatMap((command) => command.options);
    expect(options.length).toBeGreaterThan(10);
    for (const { description } of options) expect(description).not.toBe('');
  });
});
