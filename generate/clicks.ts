import type { AvroEncoder } from './avro.ts';
import { writeFrame } from './avro.ts';
import { CORRUPT_KINDS, corruptValue, type CorruptKind } from './corrupt.ts';
import { deviceId, renamedUrlText, urlText } from './dimension-rows.ts';
import { GenerateError } from './error.ts';
import type { ExtraFields } from './extra-fields.ts';
import { mix32, openRandom, type Random } from './random.ts';
import { openValueSlab } from './value-slab.ts';
import { openZipf } from './zipf.ts';

/** What the clicks are drawn from. Shares are probabilities, each drawn for itself. */
export type ClickShape = {
  users: number;
  devices: number;
  urls: number;
  /** Skew of users and urls; around 1, or 0 for none. */
  zipfExponent: number;
  shares: {
    /** A key that no row has, or none yet: half of them lie just above the last row. */
    unknownUser: number;
    unknownDevice: number;
    unknownUrl: number;
    /** Event time up to `lateMsMax` back; all others are up to two seconds old. */
    late: number;
    /** Upper-case host or a fragment: another spelling of the same url. */
    urlVariant: number;
    corrupt: number;
  };
  lateMsMax: number;
  corruptKinds: readonly CorruptKind[];
};

export const DEFAULT_CLICK_SHAPE: Omit<ClickShape, 'users' | 'devices' | 'urls'> = {
  zipfExponent: 0.95,
  shares: {
    unknownUser: 0.01,
    unknownDevice: 0.01,
    unknownUrl: 0.02,
    late: 0.02,
    urlVariant: 0.05,
    corrupt: 0.0005,
  },
  lateMsMax: 3 * 86_400_000,
  corruptKinds: CORRUPT_KINDS,
};

/** A click with the fields of `schemas/click.avsc`. */
export type Click = {
  event_time: number;
  user_id: number;
  url: string;
  device_id: string;
  session_id: string | null;
  referrer: string | null;
  duration_ms: number | null;
};

/** The fields that a click has, whatever the contract says. */
export const CLICK_FIELDS: readonly (keyof Click)[] = [
  'event_time',
  'user_id',
  'url',
  'device_id',
  'session_id',
  'referrer',
  'duration_ms',
];

/** Clicks as they go to Kafka and as the ledger writes them down: one array a field. */
export type ClickBatch = {
  count: number;
  partition: number[];
  eventTimeMs: number[];
  userId: number[];
  url: string[];
  deviceId: string[];
  sessionId: (string | null)[];
  kind: ('good' | CorruptKind)[];
  value: (Buffer | null)[];
};

export type ClickEncoding = {
  schemaId: number;
  encode: AvroEncoder;
  violation: { schemaId: number; encode: AvroEncoder };
};

export type ClickSource = { next(count: number, nowMs: number): ClickBatch };

/** Unknown keys just above the last row: rows that are inserted while clicks flow turn up here. */
const SOON_KEYS = 5_000;
const NEVER_KEY_BASE = 2_000_000_000;
const SESSION_MS = 1_800_000;
const RECENT_MS_MAX = 2_000;
/** Texts of the most frequent urls are kept; the others are made anew each time. */
const URL_CACHE_MAX = 20_000;

/**
 * An endless, seeded stream of clicks: Zipf users, each mostly on a device of their own, and Zipf
 * urls. The partition follows from the user id. Errors: `config` for a shape without any rows.
 */
export function openClickSource(options: {
  seed: number;
  shape: ClickShape;
  partitions: number;
  encoding: ClickEncoding;
  /** Values of fields that a click does not have. */
  extraFields?: ExtraFields | undefined;
}): ClickSource {
  const { seed, shape, partitions, encoding, extraFields } = options;
  if (partitions < 1) throw new GenerateError('config', `a topic of ${partitions} partitions`);
  const random = openRandom(seed, 'clicks');
  const extraRandom = openRandom(seed, 'extra fields');
  const slab = openValueSlab();
  const drawClick = openClickDraw(seed, shape, random);
  return {
    next(count, nowMs) {
      const batch = emptyBatch(count);
      for (let i = 0; i < count; i += 1) {
        const click = drawClick(nowMs);
        const record =
          extraFields === undefined ? click : { ...click, ...extraFields(extraRandom) };
        const good = slab.append((buffer, at) => encodeFramed(encoding, record, buffer, at));
        const kind = corruptKindOf(shape, random);
        batch.partition[i] = mix32(click.user_id) % partitions;
        batch.eventTimeMs[i] = click.event_time;
        batch.userId[i] = click.user_id;
        batch.url[i] = click.url;
        batch.deviceId[i] = click.device_id;
        batch.sessionId[i] = click.session_id;
        batch.kind[i] = kind;
        batch.value[i] =
          kind === 'good'
            ? good
            : corruptValue({ kind, good, click, random, violation: encoding.violation });
      }
      return batch;
    },
  };
}

/** One click after the other, as the random numbers have it; `nowMs` is the newest event time that there may be. */
export function openClickDraw(
  seed: number,
  shape: ClickShape,
  random: Random,
): (nowMs: number) => Click {
  const draw = openKeyDraw(seed, shape, random);
  return (nowMs) => {
    const user = draw.user();
    const eventTimeMs = nowMs - Math.floor(ageMs(shape, random));
    return {
      event_time: eventTimeMs,
      user_id: user,
      url: draw.url(),
      device_id: draw.device(user),
      session_id: random.chance(0.1) ? null : sessionOf(user, eventTimeMs),
      referrer: random.chance(0.7) ? null : draw.url(),
      duration_ms: random.chance(0.3) ? null : random.below(120_000),
    };
  };
}

function encodeFramed(encoding: ClickEncoding, click: unknown, buffer: Buffer, at: number): number {
  // Fewer than five bytes left would make the frame itself fail; a fresh slab is the answer to both.
  if (buffer.length - at < 64) return -1;
  return encoding.encode(click, buffer, writeFrame(encoding.schemaId, buffer, at));
}

type KeyDraw = { user(): number; device(user: number): string; url(): string };

function openKeyDraw(seed: number, shape: ClickShape, random: Random): KeyDraw {
  const { users, devices, urls, shares } = shape;
  const rank = (count: number): (() => number) =>
    shape.zipfExponent === 0
      ? () => 1 + random.below(count)
      : openZipf(count, shape.zipfExponent, random);
  const [zipfUser, zipfUrl] = [rank(users), rank(urls)];
  const cache: string[] = [];
  const knownUrl = (number: number): string => {
    if (number > URL_CACHE_MAX) return urlText(seed, number);
    return (cache[number] ??= urlText(seed, number));
  };
  const unknown = (rows: number): number =>
    (random.chance(0.5) ? rows : NEVER_KEY_BASE) + 1 + random.below(SOON_KEYS);
  return {
    user: () => (random.chance(shares.unknownUser) ? unknown(users) : zipfUser()),
    device(user) {
      if (random.chance(shares.unknownDevice)) return deviceId(seed, unknown(devices));
      if (random.chance(0.1)) return deviceId(seed, 1 + random.below(devices));
      const held = user <= devices ? 1 + Math.floor((devices - user) / users) : 0;
      const own = held > 0 ? user + users * random.below(held) : 1 + random.below(devices);
      return deviceId(seed, own);
    },
    url() {
      if (random.chance(shares.unknownUrl)) return unknownUrl(seed, urls, random, zipfUrl);
      const url = knownUrl(zipfUrl());
      return random.chance(shares.urlVariant) ? respell(url, random) : url;
    },
  };
}

/** Rows to come, the new text of rows to be renamed, and pages that nobody ever describes. */
function unknownUrl(seed: number, urls: number, random: Random, zipf: () => number): string {
  switch (random.below(3)) {
    case 0:
      return urlText(seed, urls + 1 + random.below(SOON_KEYS));
    case 1:
      return renamedUrlText(seed, zipf());
    default:
      return `https://elsewhere.example/page-${random.below(SOON_KEYS)}`;
  }
}

function respell(url: string, random: Random): string {
  if (random.chance(0.5)) return `${url}#part-${random.below(9)}`;
  const hostEnd = url.indexOf('/', 'https://'.length);
  return url.slice(0, hostEnd).toUpperCase() + url.slice(hostEnd);
}

function ageMs(shape: ClickShape, random: Random): number {
  return random.float() * (random.chance(shape.shares.late) ? shape.lateMsMax : RECENT_MS_MAX);
}

function sessionOf(user: number, eventTimeMs: number): string {
  return `s-${user.toString(36)}-${Math.floor(eventTimeMs / SESSION_MS).toString(36)}`;
}

function corruptKindOf(shape: ClickShape, random: Random): 'good' | CorruptKind {
  if (!random.chance(shape.shares.corrupt)) return 'good';
  return shape.corruptKinds[random.below(shape.corruptKinds.length)] ?? 'good';
}

function emptyBatch(count: number): ClickBatch {
  return {
    count,
    partition: [],
    eventTimeMs: [],
    userId: [],
    url: [],
    deviceId: [],
    sessionId: [],
    kind: [],
    value: [],
  };
}
