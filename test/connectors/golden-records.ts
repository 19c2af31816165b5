import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChangeRecord, ResolveSchema } from '../../connectors/decode-change.ts';

export type GoldenRecord = {
  sample: string;
  topic: string;
  record: ChangeRecord;
  decoded: {
    key: Record<string, unknown> | null;
    value: {
      op?: string;
      after?: Record<string, unknown> | null;
      lsn?: number;
      snapshot?: string;
    } | null;
  };
};

type StoredRecord = Omit<GoldenRecord, 'record'> & { key: string | null; value: string | null };

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'golden', name), 'utf8'));
}

export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

const goldenSchemas = read('schemas.json') as Record<string, object>;

export const resolveGolden: ResolveSchema = (schemaId) => goldenSchemas[schemaId];

export const goldenRecords: readonly GoldenRecord[] = (read('records.json') as StoredRecord[]).map(
  ({ sample, topic, key, value, decoded }) => ({
    sample,
    topic,
    decoded,
    record: {
      key: key === null ? null : bytesOfHex(key),
      value: value === null ? null : bytesOfHex(value),
    },
  }),
);

export function goldenOf(sample: string): readonly GoldenRecord[] {
  const found = goldenRecords.filter((golden) => golden.sample === sample);
  if (found.length === 0) throw new Error(`expected golden records of ${sample}, got none`);
  return found;
}

/** Frames bytes as a serialiser with a registry does. */
export function framed(schemaId: number, bytes: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(5);
  frame.writeInt32BE(schemaId, 1);
  return Uint8Array.from(Buffer.concat([frame, bytes]));
}
