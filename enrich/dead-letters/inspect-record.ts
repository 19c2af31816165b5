import avsc from 'avsc';
import { frameBytes } from '../../connectors/framing.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';
import type { AvroNode } from '../../schemas/avro-type.ts';
import { createSkip, truncated } from '../../schemas/avro-wire.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { ContractError } from '../../schemas/error.ts';

/** A field of a record as far as it could be read; `end` is where its bytes end in the value. */
type InspectedField = { name: string; text: string; end: number };

/** How far the bytes of a record fit a writer schema. */
export type Inspection = {
  fields: InspectedField[];
  /** What stopped the reading, and at which byte; undefined where the record is sound. */
  stoppedBy: string | undefined;
};

const TEXT_CHARS_MAX = 120;

/** Reads a framed record field by field until the bytes do not fit, or the schema is none that can be read. */
export function inspectRecord(value: Uint8Array, avroSchema: AvroObject): Inspection {
  let node: AvroNode;
  try {
    node = parseAvroType(avroSchema);
  } catch (error) {
    if (!(error instanceof ContractError)) throw error;
    return { fields: [], stoppedBy: `its schema is an ${error.message}` };
  }
  if (node.kind !== 'record') {
    return { fields: [], stoppedBy: `its schema is a ${node.kind}, not a record` };
  }
  const types = typesOf(avroSchema);
  const bytes = Buffer.from(value);
  const fields: InspectedField[] = [];
  let at = frameBytes;
  for (const [index, field] of node.fields.entries()) {
    const end = createSkip(field.type)(bytes, at, bytes.length, 0);
    if (end < 0) {
      const what =
        end === truncated ? 'the record ends inside it' : 'its bytes are not of its type';
      return { fields, stoppedBy: `field ${field.name}, at byte ${at}: ${what}` };
    }
    fields.push({
      name: field.name,
      text: textOf(types[index]?.type, bytes.subarray(at, end)),
      end,
    });
    at = end;
  }
  const rest = bytes.length - at;
  return { fields, stoppedBy: rest === 0 ? undefined : `${rest} bytes follow the last field` };
}

/** None where avsc is stricter than the producer's library, such as with a default of a union's second type. */
function typesOf(avroSchema: AvroObject): readonly { type: avsc.Type }[] {
  try {
    return (avsc.Type.forSchema(avroSchema as avsc.Schema) as avsc.types.RecordType).fields;
  } catch {
    return [];
  }
}

function textOf(type: avsc.Type | undefined, bytes: Buffer): string {
  const text = jsonOf(type, bytes) ?? `0x${bytes.toString('hex')}`;
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)} ...` : text;
}

/** Undefined for what is sound, and more than avsc holds, such as a long beyond 2^53. */
function jsonOf(type: avsc.Type | undefined, bytes: Buffer): string | undefined {
  try {
    return JSON.stringify(type?.fromBuffer(bytes));
  } catch {
    return undefined;
  }
}

/** Bytes as offsets, hexadecimal and ASCII, sixteen a line, `bytesMax` at most. */
export function hexDump(bytes: Uint8Array, bytesMax: number): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, bytesMax); at += 16) {
    const row = [...bytes.subarray(at, Math.min(at + 16, bytesMax))];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = row.map((byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
    );
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(47)}  ${ascii.join('')}`);
  }
  if (bytes.length > bytesMax) lines.push(`... ${bytes.length - bytesMax} bytes more`);
  return lines.join('\n');
}
