/** Time and chance, passed in so that tests and simulation decide them. */
export type Clock = {
  /** Epoch ms. */
  nowMs: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  random: () => number;
  /** A fresh UUID. */
  newId: () => string;
};
