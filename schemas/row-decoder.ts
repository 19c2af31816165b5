import { parseAvroType } from './avro-type.ts';
import type { AvroNode } from './avro-type.ts';
import { createSkip, readLong, clampToInt32 } from './avro-wire.ts';
import * as store from './column-store.ts';
import { contractFields } from './contract-field.ts';
import type { ContractField } from './contract-field.ts';
import type { AvroObject, Contract } from './contract.ts';
import { failureOf, failures } from './decode-failure.ts';
import { generateDecoder } from './generate-decoder.ts';
import type { GeneratedDecoder } from './generate-decoder.ts';
import { ColumnFull, createRowBuffer, growRows, startOver } from './row-buffer.ts';
import type { DecodeFailure, RowBuffer } from './row-buffer.ts';

/** Decodes records of one writer schema into the columns of one contract. */
export type RowDecoder = {
  /**
   * Decodes the Avro record in `bytes[start .. end)` as row `into.rowCount` and raises that count.
   * On failure the count stays and the row counts for nothing. Never throws for bytes, whatever they
   * are; throws where the buffer has no room for a row, which its owner must see before, and `ColumnFull` where it
   * has none for what the record holds beside the rows that are there: an empty one has.
   */
  append(bytes: Uint8Array, start: number, end: number, into: RowBuffer): DecodeFailure | undefined;
};

/**
 * Builds a decoder from a writer schema to a reader contract; the buffer comes from
 * `createRowBuffer(readerContract, ...)`. Resolution follows the Avro specification 1.12, "Schema
 * Resolution", with two liberties: names of types need not match, and times are converted from the
 * writer's unit. Text is checked to be UTF-8; times, decimals and UUIDs to be what they claim.
 *
 * A writer schema that the contract cannot read at all gives a decoder that rejects every record as
 * `contract-violation`, naming the field: it is the records that are wrong, not the pipeline.
 * Errors: `config` for the contract.
 */
export function createRowDecoder(readerContract: Contract, writerSchema: AvroObject): RowDecoder {
  const fields = contractFields(readerContract);
  const generated = generate(fields, writerSchema);
  return typeof generated === 'string'
    ? rejectAll(violation(generated))
    : compile(generated, readerContract, fields.length);
}

/**
 * Why no record of a writer schema can be read by a contract; undefined where some may be. Errors: `config` for the
 * contract.
 */
export function refusalOf(
  readerContract: Contract,
  writerSchema: AvroObject,
): DecodeFailure | undefined {
  const generated = generate(contractFields(readerContract), writerSchema);
  return typeof generated === 'string' ? violation(generated) : undefined;
}

/** Or a sentence that says why no record can be read. */
function generate(
  fields: readonly ContractField[],
  writerSchema: AvroObject,
): GeneratedDecoder | string {
  let writer: AvroNode;
  try {
    writer = parseAvroType(writerSchema);
  } catch (cause) {
    return (cause as Error).message;
  }
  if (writer.kind !== 'record') return `the writer's schema is a ${writer.kind}`;
  const generated = generateDecoder(fields, writer);
  return 'violation' in generated ? generated.violation.message : generated;
}

type Decode = (bytes: Uint8Array, start: number, end: number, into: RowBuffer) => number;

function compile(generated: GeneratedDecoder, contract: Contract, columnCount: number): RowDecoder {
  const runtime = { ...store, readLong, clampToInt32, growRows };
  // Generated code is several times faster than avsc. Names and symbols reach it as constants, never as text.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function('runtime', 'constants', 'skips', generated.body) as (
    ...of: unknown[]
  ) => Decode;
  const decode = make(
    runtime,
    generated.constants,
    generated.skipped.map((node) => createSkip(node)),
  );
  const append: RowDecoder['append'] = (bytes, start, end, into) => {
    assertRoom(into, columnCount);
    const code = decode(bytes, start, end, into);
    return code === 0 ? undefined : failureOf(code, generated.paths);
  };
  return {
    append(bytes, start, end, into) {
      try {
        return append(bytes, start, end, into);
      } catch (error) {
        if (!(error instanceof ColumnFull)) throw error;
        if (into.rowCount === 0) startOver(into);
        const failure = failureAlone(() => append(bytes, start, end, createRowBuffer(contract, 1)));
        if (failure !== undefined) return failure;
        if (into.rowCount > 0) throw error;
        return append(bytes, start, end, into);
      }
    },
  };
}

/** Whether a record can be a row must not depend on what is in a buffer, or was in it before. */
function failureAlone(append: () => DecodeFailure | undefined): DecodeFailure | undefined {
  try {
    return append();
  } catch (error) {
    if (!(error instanceof ColumnFull)) throw error;
    return { kind: 'out-of-range', message: `the record: ${error.message}` };
  }
}

function assertRoom(into: RowBuffer, columnCount: number): void {
  const rowsMax = into.columns[0]?.valid.length ?? 0;
  if (into.rowCount < rowsMax && into.columns.length === columnCount) return;
  throw new Error(
    `a row buffer needs ${columnCount} columns and room for a row, ` +
      `got ${into.columns.length} columns and ${into.rowCount} of ${rowsMax} rows`,
  );
}

function violation(message: string): DecodeFailure {
  return { kind: failures.unreadable.kind, message };
}

/** A decoder that takes no record. */
export function rejectAll(failure: DecodeFailure): RowDecoder {
  return { append: () => failure };
}
