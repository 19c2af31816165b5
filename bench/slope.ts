/** A value at a time, in ms. */
export type Point = { ms: number; value: number };

const WINDOWS = 24;
const HOUR_MS = 3_600_000;

/**
 * How much the floor of a series rises in an hour: the median slope between the least values of 24 windows, so that
 * neither a sawtooth nor single peaks count. Undefined for fewer than two windows with values.
 * Source: Theil and Sen's estimator.
 */
export function risePerHour(points: readonly Point[]): number | undefined {
  const floors = floorsOf(points);
  const slopes = floors.flatMap((from, i) =>
    floors.slice(i + 1).map((to) => ((to.value - from.value) * HOUR_MS) / (to.ms - from.ms)),
  );
  const sorted = slopes.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** The least value of each window of equal length. */
function floorsOf(points: readonly Point[]): Point[] {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || last.ms === first.ms) return [];
  const lengthMs = (last.ms - first.ms) / WINDOWS;
  const windows = Map.groupBy(points, ({ ms }) =>
    Math.min(WINDOWS - 1, Math.floor((ms - first.ms) / lengthMs)),
  );
  return [...windows.values()].flatMap(
    (window) => window.toSorted((a, b) => a.value - b.value)[0] ?? [],
  );
}
