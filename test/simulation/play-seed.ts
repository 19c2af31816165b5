import { createParquetWriter } from '@iceberg-js/rest-client-shim/parquet/parquet-writer.ts';
import { playSchedule } from './schedule.ts';
import type { Played } from './schedule.ts';

/** One schedule in so many writes real Parquet, and reads it back. */
const PARQUET_EVERY = 500;

const parquet = createParquetWriter({ rowGroupRowsMax: 4, zstdLevel: 1 });

/** The schedule of a seed, the same on every machine. Throws the first `Violation`. */
export function playSeed(seed: number, trace?: (line: string) => void): Promise<Played> {
  return playSchedule({
    seed,
    ...(seed % PARQUET_EVERY === 0 ? { writer: parquet } : {}),
    ...(trace === undefined ? {} : { trace }),
  });
}
