import type { Contract } from './contract.ts';
import type { RegisteredSchema, Registry } from './registry.ts';

export type Registration = RegisteredSchema & {
  subject: string;
  /** `unchanged`: a version of the subject has this schema already. */
  outcome: 'registered' | 'unchanged';
};

/** The subject of a topic's values, as serialisers name it unless told otherwise. */
export function valueSubject(topic: string): string {
  return `${topic}-value`;
}

/**
 * Registers a contract for the values of a topic, unless a version has it already. Topics that Debezium writes are left
 * to its converter. Errors: those of `Registry`.
 */
export async function registerContract(
  registry: Registry,
  { topic, contract }: { topic: string; contract: Contract },
): Promise<Registration> {
  const subject = valueSubject(topic);
  const found = await registry.find(subject, contract.avroSchema);
  if (found !== undefined) return { ...found, subject, outcome: 'unchanged' };
  const registered = await registry.register(subject, contract.avroSchema);
  return { ...registered, subject, outcome: 'registered' };
}
