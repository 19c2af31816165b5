/**
 * Few keys, so that clicks hit, rows change and several rows share a url often. In each family the first two
 * have one and the same 32-bit hash in the projection, as have the first two values: whoever takes the hash for
 * the key joins the wrong row (INVARIANTS.md 13). A test checks that they still collide.
 */
export const USER_IDS = [1, 6_949_403_056, 2, 3] as const;
export const DEVICE_IDS = ['d-1gny', 'd-3jka', 'd-1', 'd-2'] as const;
export const URLS = ['https://a/42vw', 'https://a/4w0c', 'https://b/', 'https://c/x'] as const;
export const VALUES = ['name t52', 'name 11qn', 'v1', 'v2', 'v3', 'v4', 'v5'] as const;
/** Other spellings of the first and the third url. */
export const URL_VARIANTS = ['HTTPS://A/42vw#top', 'https://B/'] as const;
