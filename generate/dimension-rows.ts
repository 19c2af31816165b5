import { mix32 } from './random.ts';

/**
 * The rows of the three source tables as pure functions of (seed, number), so that the tables, the
 * clicks and the change topics agree without talking to each other. Numbers start at 1.
 * Columns: `schemas/{user,device,url}.avsc`, in the same order. Dates are days since the epoch,
 * `updatedAtMs` epoch ms, prices hundredths.
 */
export type UserRow = {
  userId: number;
  name: string | null;
  country: string | null;
  tier: string;
  birthYear: number | null;
  signupDate: number | null;
  bio: string | null;
  updatedAtMs: number;
};

export type DeviceRow = {
  deviceId: string;
  userId: number;
  os: string;
  osVersion: string;
  model: string;
  formFactor: string;
  updatedAtMs: number;
};

export type UrlRow = {
  urlId: number;
  url: string;
  domain: string;
  category: string;
  title: string | null;
  priceHundredths: number | null;
  updatedAtMs: number;
};

/** 1 January 2026: rows of a first load say they were updated in the seconds after it. */
const UPDATED_AT_BASE_MS = 1_767_225_600_000;
const SIGNUP_DAY_BASE = 17_897;
const SIGNUP_DAYS = 2_500;
/** Long enough to be stored out of line, where an update that leaves it alone sends a placeholder. */
const LONG_BIO_PIECES = 500;

const GIVEN = [
  'Ada',
  'Bruno',
  'Chiara',
  'Dmitri',
  'Elif',
  'Femi',
  'Greta',
  'Hiro',
  'Inés',
  'Jonas',
];
const FAMILY = ['Abe', 'Brandt', 'Costa', 'Duarte', 'Eriksen', 'Fofana', 'Gupta', 'Haas', 'Ito'];
/** Repeats are weights. */
const COUNTRIES =
  'DE DE DE DE US US US US US FR FR GB GB IT ES PL NL AT CH SE DK JP BR IN CA'.split(' ');
const TIERS = ['free', 'free', 'free', 'free', 'free', 'free', 'free', 'pro', 'pro', 'vip'];
const DEVICES = [
  {
    os: 'android',
    versions: ['13', '14', '15', '16'],
    models: ['Pixel 9', 'Galaxy S25', 'Moto G'],
  },
  {
    os: 'ios',
    versions: ['17.6', '18.2', '26.0'],
    models: ['iPhone 15', 'iPhone 16', 'iPhone SE'],
  },
  { os: 'ipados', versions: ['18.2', '26.0'], models: ['iPad Air', 'iPad Pro'] },
  { os: 'windows', versions: ['10', '11'], models: ['PC', 'Surface'] },
  { os: 'macos', versions: ['14.7', '15.5', '26.0'], models: ['MacBook Air', 'MacBook Pro'] },
  { os: 'linux', versions: ['6.12', '6.18'], models: ['PC'] },
  { os: 'tizen', versions: ['8.0'], models: ['Samsung TV'] },
];
const FORM_FACTORS = ['phone', 'phone', 'tablet', 'desktop', 'desktop', 'desktop', 'tv'];
const DOMAINS = [
  'www.harbour-books.example',
  'shop.northlamp.example',
  'news.tidewater.example',
  'www.kettle-and-co.example',
  'play.brightwire.example',
  'garden.oakline.example',
];
const CATEGORIES = ['books', 'lighting', 'news', 'kitchen', 'games', 'garden', 'travel', 'music'];
const WORDS = [
  'amber',
  'birch',
  'copper',
  'dune',
  'ember',
  'fjord',
  'grove',
  'harbour',
  'iris',
  'juno',
];

/** Row `number` of public.users: primary key is the number. */
export function userRow(seed: number, number: number): UserRow {
  const h = hashOf(seed, 1, number);
  const h2 = mix32(h + 1);
  return {
    userId: number,
    name: h % 50 === 0 ? null : `${pick(GIVEN, h >>> 8)} ${pick(FAMILY, h >>> 16)}`,
    country: h % 40 === 0 ? null : pick(COUNTRIES, h2),
    tier: pick(TIERS, h2 >>> 10),
    birthYear: h % 7 === 0 ? null : 1940 + ((h2 >>> 4) % 70),
    signupDate: h % 60 === 0 ? null : SIGNUP_DAY_BASE + ((h2 >>> 6) % SIGNUP_DAYS),
    bio: bioOf(h),
    updatedAtMs: UPDATED_AT_BASE_MS + number * 1000,
  };
}

/** Row `number` of public.devices, held by one of `users` users: device n by user n modulo users. */
export function deviceRow(seed: number, number: number, users: number): DeviceRow {
  const h = hashOf(seed, 2, number);
  const kind = h % DEVICES.length;
  const device = pick(DEVICES, kind);
  return {
    deviceId: deviceId(seed, number),
    userId: ((number - 1) % users) + 1,
    os: device.os,
    osVersion: pick(device.versions, h >>> 8),
    model: pick(device.models, h >>> 16),
    formFactor: pick(FORM_FACTORS, kind),
    updatedAtMs: UPDATED_AT_BASE_MS + number * 1000,
  };
}

/** Row `number` of public.urls: primary key is the number, the url is unique by its last digits. */
export function urlRow(seed: number, number: number): UrlRow {
  const h = hashOf(seed, 3, number);
  const h2 = mix32(h + 1);
  const isProduct = h2 % 5 < 3;
  return {
    urlId: number,
    url: urlText(seed, number),
    domain: pick(DOMAINS, h),
    category: pick(CATEGORIES, h >>> 8),
    title: h2 % 30 === 0 ? null : `${pick(WORDS, h >>> 12)} ${pick(WORDS, h2 >>> 8)} ${number}`,
    priceHundredths: isProduct ? 99 + ((h2 >>> 3) % 50_000) : null,
    updatedAtMs: UPDATED_AT_BASE_MS + number * 1000,
  };
}

/** `d-` and eight hex digits; two numbers below 2^32 never share an id. */
export function deviceId(seed: number, number: number): string {
  return `d-${mix32(number ^ mix32(seed))
    .toString(16)
    .padStart(8, '0')}`;
}

/** The url of row `number`, in normal form: lower-case host, no fragment. */
export function urlText(seed: number, number: number): string {
  const h = hashOf(seed, 3, number);
  const [domain, category, word] = [
    pick(DOMAINS, h),
    pick(CATEGORIES, h >>> 8),
    pick(WORDS, h >>> 12),
  ];
  return `https://${domain}/${category}/${word}-${number}`;
}

/** What the url of row `number` becomes when a change renames it. */
export function renamedUrlText(seed: number, number: number): string {
  return `${urlText(seed, number)}?v=2`;
}

function bioOf(h: number): string | null {
  if (h % 4 !== 0) return null;
  if (h % 400 !== 0) return `Likes ${pick(WORDS, h >>> 5)} and ${pick(WORDS, h >>> 9)}.`;
  const pieces: string[] = [];
  for (let i = 0; i < LONG_BIO_PIECES; i += 1) pieces.push(mix32(h + i).toString(16));
  return pieces.join('');
}

function hashOf(seed: number, table: number, number: number): number {
  return mix32(mix32(seed + table * 0x9e3779b9) ^ mix32(number));
}

function pick<T>(values: readonly T[], index: number): T {
  const value = values[index % values.length];
  if (value === undefined) throw new RangeError(`no element ${index} among ${values.length}`);
  return value;
}
