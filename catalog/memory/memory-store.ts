import { CatalogError } from '../error.ts';
import type { ObjectStore } from '../store/object-store.ts';

export type StoredObject = { bytes: Uint8Array; modifiedMs: number };

/**
 * The in-memory twin of the object stores: any location that is a string, exact bytes, the same
 * errors by kind. Bytes are copied on the way in and out, so a caller that reuses its buffer
 * changes nothing here. `nowMs` (epoch ms) dates the objects; without it they are as old as time 0.
 * `objects`, by location, is what it holds: a simulation looks at it without asking.
 */
export function createMemoryStore(
  options: { nowMs?: () => number; objects?: Map<string, StoredObject> } = {},
): ObjectStore {
  const objects = options.objects ?? new Map<string, StoredObject>();
  const nowMs = options.nowMs ?? (() => 0);

  const read = (location: string): Uint8Array => {
    const stored = objects.get(location);
    if (stored === undefined) {
      throw new CatalogError('corrupt', `no such object: ${location}`, { context: { location } });
    }
    return stored.bytes;
  };

  return {
    async put(location, bytes, putOptions = {}) {
      if (putOptions.ifAbsent === true && objects.has(location)) {
        throw new CatalogError('conflict', `object exists already: ${location}`, {
          context: { location },
        });
      }
      objects.set(location, { bytes: bytes.slice(), modifiedMs: nowMs() });
    },
    async get(location) {
      return read(location).slice();
    },
    async getRange(location, start, end) {
      const bytes = read(location);
      if (end > bytes.byteLength) {
        throw new CatalogError(
          'corrupt',
          `${location}: bytes ${start} to ${end} are beyond its end`,
          { context: { location } },
        );
      }
      return bytes.slice(start, end);
    },
    async size(location) {
      return objects.get(location)?.bytes.byteLength;
    },
    async *list(prefix) {
      const found = [...objects].filter(([location]) => location.startsWith(prefix));
      for (const [location, stored] of found) {
        yield { location, sizeBytes: stored.bytes.byteLength, modifiedMs: stored.modifiedMs };
      }
    },
    async delete(location) {
      objects.delete(location);
    },
  };
}
