import { isDeepStrictEqual } from 'node:util';
import type { PartitionValue } from '@iceberg-js/rest-client-shim/manifest/data-file.ts';
import { readDataFile } from '@iceberg-js/rest-client-shim/read/read-columns.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** Reads the Parquet files of every table and compares them with the rows that were given to the writer. */
export async function readBack(world: World): Promise<void> {
  for (const model of world.models.values()) {
    const { schemas, currentSchemaId, currentSnapshotId } = model.metadata;
    const tableSchema = schemas.find(({ schemaId }) => schemaId === currentSchemaId);
    if (tableSchema === undefined) continue;
    for (const location of model.liveAt(currentSnapshotId)) {
      // The simulated maintenance writes no Parquet.
      if (location.includes('/optimized-')) continue;
      const expected = model.named(location);
      // What is within records the reader of files leaves to Trino.
      const columnNames = Object.keys(expected[0] ?? {}).filter((name) => !name.includes('.'));
      const fileSizeBytes = BigInt(world.objects.get(location)?.bytes.byteLength ?? 0);
      const dataFile = { location, fileSizeBytes };
      const { store } = world;
      const file = await readDataFile({ store, dataFile, tableSchema, columnNames });
      const found = expected.map((_, row) =>
        Object.fromEntries(
          columnNames.map((name) => [name, comparable(file.columns.get(name)?.[row])]),
        ),
      );
      const written = expected.map((row) =>
        Object.fromEntries(columnNames.map((name) => [name, comparable(row[name])])),
      );
      if (file.rowCount === expected.length && isDeepStrictEqual(found, written)) continue;
      throw new Violation(5, `${location} reads back as other rows`);
    }
  }
}

/** A column that was widened since reads as what it is now. */
function comparable(value: PartitionValue | undefined): PartitionValue {
  return typeof value === 'number' ? BigInt(value) : (value ?? null);
}
