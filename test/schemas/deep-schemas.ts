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

/** Records without a byte that hold each other, so that there are more ways from one to another than can be walked. */
export function recordsOfEachOther(count: number): string {
  const recordAt = (at: number): object => {
    const names = Array.from({ length: count }, (_one, index) => `T${index}`);
    const next = at + 1 < count ? [{ name: `T${at + 1}`, type: recordAt(at + 1) }] : [];
    const others = names
      .filter((_name, index) => index !== at + 1)
      .map((name) => ({ name, type: name }));
    return { type: 'record', name: `T${at}`, fields: [...next, ...others] };
  };
  const items = { type: 'array', items: recordAt(0) };
  return JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'f', type: items }] });
}

function chainOf(levels: number, names: readonly string[]): string {
  const fields = Array.from({ length: levels }, (_one, at) => {
    const type = at === 0 ? 'int' : `T${at - 1}`;
    const inner = names.map((name) => ({ name, type }));
    return { name: `f${at}`, type: { type: 'record', name: `T${at}`, fields: inner } };
  });
  return JSON.stringify({ type: 'record', name: 'R', fields });
}
