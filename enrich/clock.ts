/** Time and chance, passed in so that tests and simulation decide them. */
export type Clock = {
  /** Epoch ms as the machine has it, which may jump either way: for what is written down and shown. */
  nowMs: () => number;
  /** Ms since some moment, never going back: for ages, deadlines and intervals. */
  elapsedMs: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  random: () => number;
  /** A fresh UUID. */
  newId: () => string;
};
