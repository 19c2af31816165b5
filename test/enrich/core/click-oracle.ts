import type { AvroObject, Contract } from '../../../schemas/contract.ts';
import { OracleFault, readByOracle } from '../../schemas/avro-oracle.ts';

/** What must become of a value of the stream. */
export type Outcome = { row: Readonly<Record<string, unknown>> } | { kind: string };

/** A writer schema of the registry, and whether the contract can read its records at all. */
export type Writer = { avroSchema: AvroObject; isReadable: boolean };

/** Ends the oracle's reading where the contract is broken. */
class Broken extends Error {
  readonly kind: string;

  constructor(kind: string) {
    super(kind);
    this.kind = kind;
  }
}

const required = new Set(['event_time', 'user_id', 'url', 'device_id']);
const text = new TextEncoder();

/** What becomes of a click, by Avro's specification, Confluent's frame and the contract alone. */
export function clickOracle(
  contract: Contract,
  writers: ReadonlyMap<number, Writer>,
): (bytes: Uint8Array | null) => Outcome {
  const names = contract.avroSchema.fields.map(({ name }) => name);
  const read = new Set(names);
  return (bytes) => {
    if (bytes === null) return { kind: 'null-value' };
    const schemaId = bytes.length < 5 ? -1 : Buffer.from(bytes.subarray(0, 5)).readInt32BE(1);
    if (bytes[0] !== 0 || schemaId < 0) return { kind: 'no-magic-byte' };
    const writer = writers.get(schemaId);
    if (writer === undefined) return { kind: 'unknown-schema-id' };
    if (!writer.isReadable) return { kind: 'contract-violation' };
    try {
      const value = readByOracle(writer.avroSchema, bytes.subarray(5), {
        isRead: (path) => read.has(path),
        onValue: checkContract,
        depthMax: 64,
      });
      return { row: rowOf(names, value as Readonly<Record<string, unknown>>) };
    } catch (error) {
      if (error instanceof OracleFault || error instanceof Broken) return { kind: error.kind };
      throw error;
    }
  };
}

function checkContract(path: string, value: unknown): void {
  if (required.has(path) && value === null) throw new Broken('contract-violation');
  if (path !== 'event_time') return;
  const ms = value as bigint;
  if (ms < -62_135_596_800_000n || ms >= 253_402_300_800_000n) throw new Broken('out-of-range');
}

function rowOf(
  names: readonly string[],
  value: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const cell = (name: string): unknown => {
    const written = value[name] ?? null;
    if (typeof written === 'string') return text.encode(written);
    if (name === 'event_time') return (written as bigint) * 1000n;
    return name === 'user_id' ? BigInt(written as number) : written;
  };
  return Object.fromEntries(names.map((name) => [name, cell(name)]));
}
