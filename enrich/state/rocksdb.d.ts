/** What is used of rocksdb-native, installed under the name `rocksdb`; the package ships no types. */
declare module 'rocksdb' {
  type Range = { gte: Uint8Array; lt: Uint8Array; limit?: number };

  interface WriteBatch {
    tryPut(key: Uint8Array, value: Uint8Array): void;
    tryDelete(key: Uint8Array): void;
    flush(): Promise<void>;
  }

  interface ReadBatch {
    get(key: Uint8Array): Promise<Buffer | null>;
    tryFlush(): void;
  }

  type Options = {
    maxBackgroundJobs?: number;
    writeBufferSize?: number;
    maxWriteBufferNumber?: number;
    tableBlockSize?: number;
    tableCacheIndexAndFilterBlocks?: boolean;
    blockCache?: boolean;
  };

  export default class RocksDB {
    constructor(path: string, options?: Options);
    ready(): Promise<void>;
    close(): Promise<void>;
    flush(): Promise<void>;
    write(options: { capacity: number; autoDestroy: true }): WriteBatch;
    read(options: { capacity: number; autoDestroy: true }): ReadBatch;
    iterator(
      range: Range,
      options: { capacity: number },
    ): AsyncIterable<{ key: Buffer; value: Buffer }>;
  }
}
