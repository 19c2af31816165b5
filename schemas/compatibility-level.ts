import { incompatibilities } from './avro-compatibility.ts';
import type { Incompatibility } from './avro-compatibility.ts';
import type { AvroNode } from './avro-type.ts';
import type { CompatibilityLevel } from './registry.ts';

export const compatibilityLevels: readonly CompatibilityLevel[] = [
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
  'NONE',
];

/** A schema that is there already; `label` names it in what is told. */
type OlderVersion = { label: string; type: AvroNode };

export type LevelBreak = {
  against: string;
  breaks: 'old data' | 'old readers';
  found: Incompatibility;
};

/** Whether a level holds a schema against all versions of its subject, not the newest alone. */
export function isTransitive(level: CompatibilityLevel): boolean {
  return level.endsWith('_TRANSITIVE');
}

/**
 * What a level forbids of a schema that is to follow the versions, the oldest of which come first; empty where the level
 * lets it in. Under BACKWARD the proposed schema must read old data, under FORWARD readers of old versions must read what
 * is written with it, under FULL both. What several versions break over is told of the newest of them.
 * Source: Confluent schema registry, "Compatibility types".
 */
export function checkLevel(
  level: CompatibilityLevel,
  proposed: AvroNode,
  versions: readonly OlderVersion[],
): LevelBreak[] {
  const backward = level.startsWith('BACKWARD') || level.startsWith('FULL');
  const forward = level.startsWith('FORWARD') || level.startsWith('FULL');
  const held = isTransitive(level) ? versions.toReversed() : versions.slice(-1);
  const all = held.flatMap(({ label: against, type }): LevelBreak[] => [
    ...(backward ? incompatibilities(proposed, type) : []).map((found) => {
      return { against, breaks: 'old data' as const, found };
    }),
    ...(forward ? incompatibilities(type, proposed) : []).map((found) => {
      return { against, breaks: 'old readers' as const, found };
    }),
  ]);
  const once = Map.groupBy(all, ({ breaks, found }) => JSON.stringify([breaks, found])).values();
  return [...once].flatMap((same) => same.slice(0, 1));
}
