import type { Contract } from '../schemas/contract.ts';
import { registerContract, valueSubject } from '../schemas/register-contracts.ts';
import type { CompatibilityLevel, Registry } from '../schemas/registry.ts';
import { askOfStream } from './contract-check.ts';
import { isBreaking, renderReports } from './contract-text.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { look } from './look.ts';
import { openSchemaRegistry } from './open-lake.ts';
import { terminal } from './terminal.ts';

type RegisterOptions = ConfigOptions & { mode?: CompatibilityLevel; dryRun?: boolean };

/**
 * Registers the stream's contract and says what changed; a dry run says what would. False where the change breaks
 * something: it is told as `contract check` tells it, and nothing is registered.
 */
export async function registerStreamContract(options: RegisterOptions): Promise<boolean> {
  const loaded = await loadConfig(options);
  const registry = openSchemaRegistry(loaded.config);
  const { registers, texts } = await look(
    `the schema registry at ${loaded.config.registry.url}`,
    attempt(registry, loaded, options),
  );
  terminal.print(texts.join('\n'));
  return registers;
}

async function attempt(
  registry: Registry,
  { config, contracts: { stream: contract } }: LoadedConfig,
  { mode, dryRun = false }: RegisterOptions,
): Promise<{ registers: boolean; texts: string[] }> {
  const of = mode === undefined ? {} : { mode };
  const report = await askOfStream(registry, { config, contract }, of);
  const told = renderReports([report]);
  if (report.findings.some(isBreaking)) return { registers: false, texts: [told] };

  const { topic } = config.stream;
  const level = await registry.compatibility(valueSubject(topic));
  const wish = { topic, contract, level, mode: mode ?? level };
  const texts = dryRun
    ? [`${told}\n`, ...(await wouldDo(registry, wish)), 'dry run: nothing was changed']
    : await register(registry, wish);
  return { registers: true, texts };
}

/** `level` is in force, and `mode` is to be. */
type Wish = {
  topic: string;
  contract: Contract;
  level: CompatibilityLevel;
  mode: CompatibilityLevel;
};

async function wouldDo(registry: Registry, wish: Wish): Promise<string[]> {
  const { topic, contract, level, mode } = wish;
  const subject = valueSubject(topic);
  const found = await registry.find(subject, contract.avroSchema);
  const what =
    found === undefined
      ? 'would be registered as a new version'
      : `unchanged, id ${found.schemaId} version ${found.version}`;
  return [
    ...(mode === level
      ? []
      : [`${subject}: would be held to ${mode} from now on, instead of ${level}`]),
    `${subject}: ${what}`,
  ];
}

async function register(registry: Registry, wish: Wish): Promise<string[]> {
  const { topic, contract, level, mode } = wish;
  if (mode !== level) await registry.setCompatibility(valueSubject(topic), mode);
  const { subject, outcome, schemaId, version } = await registerContract(registry, {
    topic,
    contract,
  });
  const what = outcome === 'unchanged' ? 'unchanged,' : 'registered as';
  return [
    ...(mode === level ? [] : [`${subject}: held to ${mode} from now on, instead of ${level}`]),
    `${subject}: ${what} id ${schemaId} version ${version}`,
  ];
}
