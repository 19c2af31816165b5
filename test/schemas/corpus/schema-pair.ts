/**
 * Pairs of Avro schemas and what each side can read of the other, for holding the checker against a running registry.
 * Verdicts are stated by the Avro specification's rules ("Schema Resolution") and by hand, never by the checker.
 */
export type SchemaPair = {
  name: string;
  older: unknown;
  newer: unknown;
  /** The newer schema reads what was written with the older one. */
  backward: boolean;
  /** The older schema reads what is written with the newer one. */
  forward: boolean;
  /** Where a registry answers otherwise: its answers, and why. */
  registry?: Partial<Record<'backward' | 'forward', boolean | 'refused'>> & { why: string };
};

type Verdict = Pick<SchemaPair, 'backward' | 'forward'>;

/** A pair in one line: name, older, newer, verdict. */
export type PairRow = readonly [string, unknown, unknown, Verdict];

export const both: Verdict = { backward: true, forward: true };
export const backwardOnly: Verdict = { backward: true, forward: false };
export const forwardOnly: Verdict = { backward: false, forward: true };
export const neither: Verdict = { backward: false, forward: false };

export const record = (fields: readonly unknown[], more: object = {}): object => ({
  type: 'record',
  name: 'Row',
  namespace: 'corpus',
  ...more,
  fields,
});

/** A record with one field of a type. */
export const holding = (type: unknown, more: object = {}): object =>
  record([{ name: 'a', type, ...more }]);

export const enumOf = (symbols: readonly string[], more: object = {}): object => ({
  type: 'enum',
  name: 'Tier',
  symbols,
  ...more,
});

export const fixedOf = (size: number, more: object = {}): object => ({
  type: 'fixed',
  name: 'Hash',
  size,
  ...more,
});

export const id = { name: 'id', type: 'long' };
export const optionalNote = { name: 'note', type: ['null', 'string'], default: null };
