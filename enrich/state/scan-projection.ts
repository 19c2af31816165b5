import { ContentCheck } from './content-check.ts';
import { ContentSum } from './content-sum.ts';
import { DeletedKeys } from './deleted-keys.ts';
import { recordWrite } from './dimension-record.ts';
import type { DimensionRecord } from './dimension-record.ts';
import type { DimensionShape } from './dimension-shape.ts';
import type { MutableProjection } from './hash-projection.ts';
import type { KeyValueStore, StoreWrite } from './key-value-store.ts';
import { RowView } from './state-row.ts';
import { joinKeyRange, rowRange } from './store-key.ts';

const purgeWritesMax = 2_000;
const scannedAtOnceMax = 1_024;

/** What the rows of a dimension give when all of them are read. */
type ScannedProjection = {
  projection: MutableProjection;
  deletions: DeletedKeys;
  /** With what the rows add up to that are left. */
  record: DimensionRecord;
};

/**
 * Builds a projection from the rows in the store, compares them with what they must add up to, and the index with
 * them, and removes rows that a truncation has ended. `onProgress` is called now and then.
 * Errors: `rebuild` where rows or entries of the index are missing, those of the store.
 */
export async function scanProjection(options: {
  store: KeyValueStore;
  shape: DimensionShape;
  record: DimensionRecord;
  onProgress: () => void;
}): Promise<ScannedProjection> {
  const { store, shape, record, onProgress } = options;
  const { name } = shape.definition;
  const projection = shape.emptyProjection();
  const addRow = rowAdder(shape, projection);
  const deletions = new DeletedKeys();
  const view = new RowView();
  const check = new ContentCheck(shape);
  const kept = new ContentSum();
  const left = record.content?.copy();
  let purge: StoreWrite[] = [];
  let scanned = 0;
  for await (const { key, value } of store.scan(rowRange(name))) {
    scanned += 1;
    if (scanned % scannedAtOnceMax === 0) onProgress();
    view.read(value, 0, value.length);
    check.add(key, value);
    if (isTruncated(record, view)) {
      left?.remove(key, value);
      purge.push(...removal(shape, key, view.joinKey()));
      if (purge.length >= purgeWritesMax) {
        await store.applyBatch([...purge, recordWrite(name, { ...record, content: left })]);
        purge = [];
      }
      continue;
    }
    kept.add(key, value);
    check.addIndexed(key, view);
    if (!view.deleted) addRow(key, view);
    // Where the store has an index, it is always asked.
    else if (!shape.indexed) deletions.remember(shape.primaryKeySlice(key));
  }
  check.assertRows(record.content);
  const summed = { ...record, content: kept };
  if (purge.length > 0 || record.content === undefined) {
    await store.applyBatch([...purge, recordWrite(name, summed)]);
  }
  await check.assertIndex(store.scan(joinKeyRange(name)), async () => {
    onProgress();
    return true;
  });
  return { projection, deletions, record: summed };
}

/** Rows come in the order of their primary keys, so the first row of a join key is the one that answers. */
function rowAdder(shape: DimensionShape, projection: MutableProjection) {
  return (storeKey: Uint8Array, view: RowView): void => {
    if (!shape.indexed) {
      projection.upsert(shape.primaryKeySlice(storeKey), shape.columnsInUse(view));
      return;
    }
    if (view.joinKeyLength < 0) return;
    const { bytes, joinKeyStart: start, joinKeyLength: length } = view;
    const first = projection.find(bytes, start, length);
    if (first >= 0) projection.setShared(first, true);
    else projection.upsert({ bytes, start, length }, shape.columnsInUse(view));
  };
}

function removal(
  shape: DimensionShape,
  storeKey: Uint8Array,
  joinKey: Uint8Array | undefined,
): StoreWrite[] {
  const row = { key: storeKey, value: undefined };
  if (joinKey === undefined) return [row];
  return [row, { key: shape.joinKeyEntry(storeKey, joinKey), value: undefined }];
}

function isTruncated({ truncatedAt }: DimensionRecord, { sourcePosition }: RowView): boolean {
  return truncatedAt !== undefined && sourcePosition <= truncatedAt;
}
