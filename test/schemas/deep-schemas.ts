/** The text of a schema whose field holds arrays within each other, which is more than `JSON.stringify` can walk. */
export function arraysWithin(levels: number): string {
  const [open, close] = ['{"type":"array","items":', '}'].map((text) => text.repeat(levels));
  return `{"type":"record","name":"R","fields":[{"name":"a","type":${open}"int"${close}}]}`;
}

/** Each record holds the one before it, by its name. */
export function recordsWithin(levels: number): string {
  return chainOf(levels, ['inner']);
}

/** Each record holds the one before it twice: a thousand million where thirty are written out. */
export function recordsOfTwo(levels: number): string {
  return chainOf(levels, ['x', 'y']);
}

function chainOf(levels: number, names: readonly string[]): string {
  const fields = Array.from({ length: levels }, (_one, at) => {
    const type = at === 0 ? 'int' : `T${at - 1}`;
    const inner = names.map((name) => ({ name, type }));
    return { name: `f${at}`, type: { type: 'record', name: `T${at}`, fields: inner } };
  });
  return JSON.stringify({ type: 'record', name: 'R', fields });
}
