import type { ConnectorsConfig } from './connectors-config.ts';
import { tableTopic } from './topics.ts';

/** The levels of compatibility that a schema registry holds subjects to. */
export type SubjectLevels = {
  /** In force for a subject: its own, else the registry's. */
  compatibility(subject: string): Promise<string>;
  setCompatibility(subject: string, level: 'NONE'): Promise<void>;
};

/**
 * Has the registry take whatever the captured tables become, and gives the subjects for which that is new. What Debezium
 * registers has happened at the source: a registry that refuses it undoes nothing, but the connector fails at that
 * record, and with it the changes of all tables. What a change means is for the pipeline's policies to say.
 * Errors: those of the registry.
 */
export async function freeSubjects(
  config: ConnectorsConfig,
  levels: SubjectLevels,
): Promise<{ subject: string; before: string }[]> {
  const freed: { subject: string; before: string }[] = [];
  for (const table of config.tables) {
    for (const part of ['key', 'value']) {
      const subject = `${tableTopic(config, table)}-${part}`;
      const before = await levels.compatibility(subject);
      if (before === 'NONE') continue;
      await levels.setCompatibility(subject, 'NONE');
      freed.push({ subject, before });
    }
  }
  return freed;
}
