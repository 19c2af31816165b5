import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import type { Contract } from '../schemas/contract.ts';
import { ContractError } from '../schemas/error.ts';
import { registerContract, valueSubject } from '../schemas/register-contracts.ts';
import type { CompatibilityLevel, Registry } from '../schemas/registry.ts';
import { orAway } from './against.ts';
import { askOfStream } from './contract-check.ts';
import { previewInCatalog, reportOnTable } from './contract-table.ts';
import { isBreaking, renderReports } from './contract-text.ts';
import { loadConfig } from './load-config.ts';
import type { ConfigOptions, LoadedConfig } from './load-config.ts';
import { look } from './look.ts';
import { openSchemaRegistry } from './open-lake.ts';
import { terminal } from './terminal.ts';

type RegisterOptions = ConfigOptions & { mode?: CompatibilityLevel; dryRun?: boolean };

/**
 * Registers the stream's contract and says what changed; a dry run says what would. False where the change breaks
 * something, which is told as `contract check` tells it, and where the registry refuses it: then nothing has changed.
 */
export async function registerStreamContract(options: RegisterOptions): Promise<boolean> {
  const loaded = await loadConfig(options);
  const ended = new AbortController();
  const registry = openSchemaRegistry(loaded.config, ended.signal);
  try {
    const { registers, texts } = await orAway(
      attempt(registry, loaded, options),
      `start it, or mend its address in ${options.config}`,
    );
    terminal.print(texts.join('\n'));
    return registers;
  } finally {
    // Nothing is changed any more once it was told that there was no answer.
    ended.abort();
  }
}

async function attempt(
  registry: Registry,
  loaded: LoadedConfig,
  { mode, dryRun = false }: RegisterOptions,
): Promise<{ registers: boolean; texts: string[] }> {
  const { config, contracts } = loaded;
  const of = { config, contract: contracts.stream };
  const ask = <T>(action: Promise<T>): Promise<T> =>
    look(`the schema registry at ${config.registry.url}`, action);
  const stream = await ask(askOfStream(registry, of, mode === undefined ? {} : { mode }));
  const reports = [stream, reportOnTable((await previewInCatalog(loaded)).preview)];
  const told = renderReports(reports);
  if (reports.some(({ findings }) => findings.some(isBreaking))) {
    return { registers: false, texts: [told] };
  }
  if (!dryRun) return ask(registerOrTell(registry, of, mode));
  const would = await ask(wishOf(registry, of, mode).then((wish) => wouldDo(registry, wish)));
  return { registers: true, texts: [`${told}\n`, ...would, 'dry run: nothing was changed'] };
}

type StreamContract = { config: PipelineConfig; contract: Contract };

async function wishOf(
  registry: Registry,
  { config, contract }: StreamContract,
  mode: CompatibilityLevel | undefined,
): Promise<Wish> {
  const { topic } = config.stream;
  const level = await registry.compatibility(valueSubject(topic));
  return { topic, contract, level, mode: mode ?? level };
}

async function registerOrTell(
  registry: Registry,
  of: StreamContract,
  mode: CompatibilityLevel | undefined,
): Promise<{ registers: boolean; texts: string[] }> {
  const wish = await wishOf(registry, of, mode);
  const { level } = wish;
  const isForbidden =
    wish.mode !== level &&
    (await askOfStream(registry, of, { mode: level })).findings.some(isBreaking);
  try {
    return { registers: true, texts: await register(registry, wish, isForbidden) };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { registers: false, texts: [error.message] };
  }
}

/** Whether the registry has judged the contract, and not whoever asks. */
function isRefusal(error: unknown): error is ContractError {
  return error instanceof ContractError && [409, 422].includes(Number(error.context['status']));
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

/**
 * The level comes last, so that a refusal leaves it as it was, unless the one in force forbids the contract: then it
 * comes first, and is set back after a refusal. Whatever ends in between, a second call completes.
 */
async function register(registry: Registry, wish: Wish, isForbidden: boolean): Promise<string[]> {
  const { topic, contract, level, mode } = wish;
  const subject = valueSubject(topic);
  if (isForbidden) await registry.setCompatibility(subject, mode);
  const { outcome, schemaId, version } = await registerContract(registry, {
    topic,
    contract,
  }).catch(async (error: unknown) => {
    if (isForbidden) await registry.setCompatibility(subject, level);
    throw error;
  });
  if (mode !== level && !isForbidden) await registry.setCompatibility(subject, mode);
  const what = outcome === 'unchanged' ? 'unchanged,' : 'registered as';
  return [
    ...(mode === level ? [] : [`${subject}: held to ${mode} from now on, instead of ${level}`]),
    `${subject}: ${what} id ${schemaId} version ${version}`,
  ];
}
