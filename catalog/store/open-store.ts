import { CatalogError } from '../error.ts';
import { openFileStore } from './file-store.ts';
import type { ObjectStore } from './object-store.ts';
import { openS3Store, type S3StoreOptions } from './s3-store.ts';

/** An object store together with the end of its lifetime. */
export type OpenStore = { store: ObjectStore; close: () => void };

/**
 * The store that a location's scheme names: `s3`, `s3a` or `file`; a table's own location decides
 * where its files go. Errors: `config` for any other scheme.
 */
export function openStore(location: string, options: { s3: S3StoreOptions }): OpenStore {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(location)?.[1] ?? '';
  switch (scheme) {
    case 's3':
    case 's3a': {
      const store = openS3Store(options.s3);
      return { store, close: () => store.close() };
    }
    case 'file':
      return { store: openFileStore(), close: () => undefined };
    default:
      throw new CatalogError(
        'config',
        `${location}: there is no store for this scheme; use s3:// or file://`,
      );
  }
}
