/** The rows of a batch as they stand. */
export function everyRow(rowCount: number): Int32Array<ArrayBuffer> {
  const rows = new Int32Array(rowCount);
  for (let row = 0; row < rowCount; row += 1) rows[row] = row;
  return rows;
}
