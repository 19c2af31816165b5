import type { Contract } from './contract.ts';
import type { Registry } from './registry.ts';

export type Registration = {
  subject: string;
  schemaId: number;
  version: number;
  outcome: 'registered' | 'unchanged';
  /** For people: `clicks-value: registered as id 7 version 2`. */
  message: string;
};

/** The subject of a topic's values, as serialisers name it unless told otherwise. */
export function valueSubject(topic: string): string {
  return `${topic}-value`;
}

/**
 * Registers a contract for the values of each topic; a second call changes nothing and says so.
 * Topics that Debezium writes are left to its converter. Errors: those of `Registry`.
 */
export async function registerContracts(
  registry: Registry,
  contracts: readonly { topic: string; contract: Contract }[],
): Promise<Registration[]> {
  const registrations: Registration[] = [];
  for (const { topic, contract } of contracts) {
    registrations.push(await registerContract(registry, valueSubject(topic), contract));
  }
  return registrations;
}

async function registerContract(
  registry: Registry,
  subject: string,
  contract: Contract,
): Promise<Registration> {
  const before = await registry.latest(subject);
  const { schemaId, version } = await registry.register(subject, contract.avroSchema);
  const outcome = before?.schemaId === schemaId ? 'unchanged' : 'registered';
  const what = outcome === 'unchanged' ? 'unchanged,' : 'registered as';
  return {
    subject,
    schemaId,
    version,
    outcome,
    message: `${subject}: ${what} id ${schemaId} version ${version}`,
  };
}
