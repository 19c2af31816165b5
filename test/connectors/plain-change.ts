import type { Change } from '../../connectors/change.ts';
import type { ChangeDecoder, ChangeRecord } from '../../connectors/decode-change.ts';
import type { PlainChange, RecordPlaces } from '../../connectors/read-plain-change.ts';
import {
  DOUBLE_SLOT,
  INT_SLOT,
  LONG_SLOT,
  OTHER_SLOT,
  RowSlots,
  TEXT_SLOT,
} from '../../connectors/row-slots.ts';
import { mustEqual } from '../schemas/must-equal.ts';

/** A record in the middle of a batch, between bytes that are not its own. */
function placesOf({ key, value }: ChangeRecord): RecordPlaces {
  const noise = Buffer.alloc(9, 0xa6);
  const [ownKey, ownValue] = [key ?? Buffer.alloc(0), value ?? Buffer.alloc(0)];
  return {
    bytes: Buffer.concat([noise, ownKey, noise, ownValue, noise]),
    keyStart: Int32Array.of(noise.length),
    keyLength: Int32Array.of(key === null ? -1 : key.length),
    valueStart: Int32Array.of(noise.length * 2 + ownKey.length),
    valueLength: Int32Array.of(value === null ? -1 : value.length),
  };
}

function valuesOf(slots: RowSlots) {
  return Object.fromEntries(slots.names.map((name, slot) => [name, slots.value(slot)]));
}

/** The change in the form of the strict decoder. */
function changeOf({ key, after, ...plain }: PlainChange): Change {
  const low = BigInt(plain.positionLow >>> 0);
  return {
    kind: 'upsert',
    sourcePosition: (BigInt(plain.positionHigh) << 32n) | low,
    initialSnapshot: plain.initialSnapshot,
    rowKey: valuesOf(key),
    after: valuesOf(after),
    unavailable: [],
  };
}

/** Whether nothing about the change is unusual. */
export function isPlain(change: Change): boolean {
  return change.kind === 'upsert' && change.unavailable.length === 0 && change.sourcePosition > 0n;
}

/**
 * Reads a record both ways: where the quick one gives a change, it is that of the strict one. Columns that the schema
 * lacks are null there and absent here. Returns what each of them gave.
 */
export function readBothWays(
  decoder: ChangeDecoder,
  record: ChangeRecord,
  options: { columns: readonly string[]; what: string },
): { change: Change; isReadPlain: boolean } {
  const change = decoder.decode(record);
  const plain = decoder.readPlain(placesOf(record), 0);
  if (plain === undefined) return { change, isReadPlain: false };
  if (change.kind !== 'upsert') throw new Error(`${options.what}: plain, but a ${change.kind}`);
  const lacking = Object.fromEntries(options.columns.map((name) => [name, null]));
  const { rowKey, after, ...rest } = change;
  const strict = { ...rest, rowKey: { ...rowKey }, after: { ...lacking, ...after } };
  mustEqual(changeOf(plain), strict, options.what);
  return { change, isReadPlain: true };
}

/** A change as slots hold it, where it is plain; integers as ints or longs, by their JavaScript type. */
export function plainOf(change: Change): PlainChange | undefined {
  if (change.kind !== 'upsert' || !isPlain(change)) return undefined;
  const { rowKey, after, sourcePosition, initialSnapshot } = change;
  return {
    key: slotsOf(rowKey),
    after: slotsOf(after),
    positionLow: Number(BigInt.asIntN(32, sourcePosition)),
    positionHigh: Number(sourcePosition >> 32n),
    initialSnapshot,
  };
}

function slotsOf(row: Readonly<Record<string, unknown>>): RowSlots {
  const slots = new RowSlots(Object.keys(row));
  let bytes = Buffer.alloc(3, 0x2a);
  for (const [slot, value] of Object.values(row).entries()) {
    if (value === null || value === undefined) continue;
    if (typeof value === 'number' && value !== (value | 0)) {
      slots.kinds[slot] = DOUBLE_SLOT;
      slots.doubles[slot] = value;
    } else if (typeof value === 'number' || typeof value === 'bigint') {
      slots.kinds[slot] = typeof value === 'number' ? INT_SLOT : LONG_SLOT;
      slots.low[slot] = Number(BigInt.asIntN(32, BigInt(value)));
      slots.high[slot] = Number(BigInt(value) >> 32n);
    } else if (typeof value === 'string') {
      const text = Buffer.from(value);
      slots.kinds[slot] = TEXT_SLOT;
      slots.low[slot] = bytes.length;
      slots.high[slot] = text.length;
      bytes = Buffer.concat([bytes, text]);
    } else {
      slots.kinds[slot] = OTHER_SLOT;
      slots.others[slot] = value;
    }
  }
  slots.bytes = bytes;
  return slots;
}
