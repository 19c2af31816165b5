import type { KeyValueStore } from '../../../enrich/state/key-value-store.ts';
import type { ProjectionFiles } from '../../../enrich/state/projection-files.ts';

export class Crash extends Error {}

/** Projection files without a disk: the twin of those in a directory, under the same contract. */
export function openMemoryFiles(): ProjectionFiles & { files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    list: async () => [...files.keys()],
    async write(name, pieces) {
      const copies: Uint8Array[] = [];
      for await (const piece of pieces) copies.push(new Uint8Array(piece));
      files.set(name, new Uint8Array(Buffer.concat(copies)));
    },
    async open(name) {
      const bytes = files.get(name);
      if (bytes === undefined) return undefined;
      return {
        size: bytes.length,
        async read(target, at) {
          if (at + target.length > bytes.length)
            throw new Error(`the file ends at ${bytes.length}`);
          target.set(bytes.subarray(at, at + target.length));
        },
        close: async () => {},
      };
    },
    async remove(name) {
      files.delete(name);
    },
  };
}

/**
 * A store and files that change nothing any more once so many steps were taken, as those of a process that was
 * killed: the step that would have been the next, and all after it, fail.
 */
export function crashingAfter(
  steps: number,
  { store, files }: { store: KeyValueStore; files: ProjectionFiles },
) {
  let left = steps;
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    if (left === 0) throw new Crash('the process was killed');
    left -= 1;
    return work();
  };
  return {
    hasCrashed: () => left === 0,
    store: {
      ...store,
      applyBatch: (writes) => step(() => store.applyBatch(writes)),
      flush: () => step(() => store.flush()),
    } satisfies KeyValueStore,
    files: {
      ...files,
      write: (name, pieces) => step(() => files.write(name, pieces)),
      remove: (name) => step(() => files.remove(name)),
    } satisfies ProjectionFiles,
  };
}
