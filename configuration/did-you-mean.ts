/** `; did you mean "x"?` for the nearest candidate within a third of the word's length, else nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const nearest = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  const limit = Math.max(2, Math.floor(word.length / 3));
  return nearest !== undefined && nearest.distance <= limit
    ? `; did you mean "${nearest.candidate}"?`
    : '';
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_unused, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const best = Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
      current.push(best);
    }
    previous = current;
  }
  return previous[b.length] ?? Math.max(a.length, b.length);
}
