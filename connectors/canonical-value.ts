/** A decimal as written at the source: `unscaled / 10^scale`. */
type DecimalValue = { unscaled: bigint; scale: number };

/**
 * Values of a change in one form for each meaning, whatever mode Debezium ran in.
 *
 * | at the source            | Debezium's or Connect's name                            | here              |
 * |--------------------------|---------------------------------------------------------|-------------------|
 * | text, enum, json, uuid   | none, `io.debezium.data.{Enum,Json,Uuid,Xml}`           | string            |
 * | boolean                  |                                                         | boolean           |
 * | smallint, int            | int8, int16, int32                                      | number            |
 * | real, double             | float32, float64                                        | number            |
 * | bigint                   | int64                                                   | bigint            |
 * | bytea                    | bytes                                                   | Uint8Array        |
 * | date                     | `time.Date`, Connect `Date`; `time.IsoDate`             | number of days    |
 * | timestamp                | `time.{Timestamp,MicroTimestamp,NanoTimestamp,IsoTimestamp}`, Connect `Timestamp` | bigint, µs |
 * | timestamptz              | `time.ZonedTimestamp` (ISO text)                        | bigint, µs        |
 * | time                     | `time.{Time,MicroTime,NanoTime,IsoTime}`, Connect `Time` | bigint, µs of day |
 * | timetz                   | `time.ZonedTime` (ISO text)                             | bigint, µs of day in UTC |
 * | numeric(p, s)            | Connect `Decimal`                                       | DecimalValue      |
 * | numeric                  | `data.VariableScaleDecimal`                             | DecimalValue      |
 * | numeric as string, double|                                                         | string, number    |
 * | interval                 | `time.MicroDuration`                                    | bigint, µs        |
 *
 * Nanoseconds are cut to microseconds, towards the past. Dates and timestamps are held within the years
 * 1 to 9999, which every reader of the table can show: `infinity` becomes an end. Arrays, maps and structs stay as decoded.
 * Source: Debezium 3 reference, PostgreSQL connector, "Data type mappings".
 */
export type CanonicalValue =
  | null
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | DecimalValue
  | readonly unknown[]
  | { readonly [name: string]: unknown };

/** What a schema says of a value: its semantic name and, for Connect's Decimal, the scale. */
export type Semantics = { name?: string | undefined; scale?: number | undefined };

export type Normalise = (value: unknown) => CanonicalValue;

const millisToMicros: Normalise = (value) => toBigInt(value) * 1000n;
const nanosToMicros: Normalise = (value) => floorDivide(toBigInt(value), 1000n);
const toMicros: Normalise = (value) => toBigInt(value);
const millisToInstant: Normalise = (value) => clampInstant(toBigInt(value) * 1000n);
const nanosToInstant: Normalise = (value) => clampInstant(floorDivide(toBigInt(value), 1000n));
const microsToInstant: Normalise = (value) => clampInstant(toBigInt(value));
const textToInstant: Normalise = (value) => parseInstant(String(value));
/** The first and last day, since the epoch, of the years that a date is held within. */
export const dayMin = -719_162;
export const dayMax = 2_932_896;

/** A date. */
export const toDays: Normalise = (value) => Math.min(Math.max(Number(value), dayMin), dayMax);

const bySemanticName: Readonly<Record<string, Normalise>> = {
  'io.debezium.time.Date': toDays,
  'org.apache.kafka.connect.data.Date': toDays,
  'io.debezium.time.IsoDate': (value) =>
    toDays(floorDivide(parseInstant(`${String(value).replace(/Z$/, '')}T00:00:00Z`), microsOfDay)),
  'io.debezium.time.Timestamp': millisToInstant,
  'org.apache.kafka.connect.data.Timestamp': millisToInstant,
  'io.debezium.time.MicroTimestamp': microsToInstant,
  'io.debezium.time.NanoTimestamp': nanosToInstant,
  'io.debezium.time.ZonedTimestamp': textToInstant,
  'io.debezium.time.IsoTimestamp': textToInstant,
  'io.debezium.time.Time': millisToMicros,
  'org.apache.kafka.connect.data.Time': millisToMicros,
  'io.debezium.time.MicroTime': toMicros,
  'io.debezium.time.NanoTime': nanosToMicros,
  'io.debezium.time.ZonedTime': (value) => parseTimeOfDay(String(value)),
  'io.debezium.time.IsoTime': (value) => parseTimeOfDay(String(value)),
  'io.debezium.time.MicroDuration': toMicros,
  'io.debezium.data.VariableScaleDecimal': (value) => {
    const { scale, value: unscaled } = value as { scale: number; value: Uint8Array };
    return { unscaled: readUnscaled(unscaled), scale };
  },
};

const decimalName = 'org.apache.kafka.connect.data.Decimal';

/**
 * The conversion for a meaning, undefined where values stand as they are decoded.
 * The conversion throws for values that are not of their meaning.
 */
export function normaliserFor({ name, scale = 0 }: Semantics): Normalise | undefined {
  if (name === undefined) return undefined;
  if (name === decimalName) {
    return (value) => ({ unscaled: readUnscaled(value as Uint8Array), scale });
  }
  return Object.hasOwn(bySemanticName, name) ? bySemanticName[name] : undefined;
}

/** Big-endian two's complement, as Java writes a BigInteger. */
export function readUnscaled(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
}

const microsOfDay = 86_400_000_000n;
const instantForm =
  /^([+-]?\d{4,9})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?$/;
const timeForm = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d(?::?\d\d)?)?$/;

const instantMin = -62_135_596_800_000_000n;
const instantMax = 253_402_300_799_999_999n;

function clampInstant(micros: bigint): bigint {
  if (micros > instantMax) return instantMax;
  return micros < instantMin ? instantMin : micros;
}

/**
 * Microseconds since the epoch of an ISO instant with up to nine digits, or of PostgreSQL's `infinity`;
 * UTC where it names no zone. Held within the years 1 to 9999.
 */
export function parseInstant(text: string): bigint {
  if (text === 'infinity') return instantMax;
  if (text === '-infinity') return instantMin;
  const match = instantForm.exec(text);
  if (match === null) throw new Error(`not an ISO time: ${text}`);
  const [, year, month, day, hours, minutes, seconds = '0', fraction, zone] = match;
  const days = daysFromCivil(Number(year), Number(month), Number(day));
  const ofDay = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  const utcSeconds = BigInt(days) * 86_400n + BigInt(ofDay) - zoneSeconds(zone);
  return clampInstant(utcSeconds * 1_000_000n + fractionMicros(fraction));
}

/** Days since the epoch in the proleptic Gregorian calendar; `Date` ends at the year 275760. */
function daysFromCivil(year: number, month: number, day: number): number {
  // Years that start in March put the leap day last; 400 of them have 146097 days.
  const marchYear = month > 2 ? year : year - 1;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra =
    yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** Microseconds since midnight UTC of an ISO time with or without an offset. */
function parseTimeOfDay(text: string): bigint {
  const [match, hours = '', minutes = '', seconds = '0', fraction, zone] =
    timeForm.exec(text) ?? [];
  if (match === undefined) throw new Error(`not an ISO time of day: ${text}`);
  const ofDay = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
  const utc = (ofDay - zoneSeconds(zone)) * 1_000_000n + fractionMicros(fraction);
  return ((utc % microsOfDay) + microsOfDay) % microsOfDay;
}

function fractionMicros(fraction = ''): bigint {
  return BigInt(fraction.padEnd(6, '0').slice(0, 6));
}

function zoneSeconds(zone = 'Z'): bigint {
  if (zone === 'Z') return 0n;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const seconds = BigInt(Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60);
  return zone.startsWith('-') ? -seconds : seconds;
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value < 0n && quotient * by !== value ? quotient - 1n : quotient;
}

function toBigInt(value: unknown): bigint {
  return typeof value === 'bigint' ? value : BigInt(value as number);
}
