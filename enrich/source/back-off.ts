const BACK_OFF_MS_BASE = 50;
const BACK_OFF_MS_MAX = 5000;

/**
 * Milliseconds to wait before try number `attempt` (1 is the first retry): doubles from 50 ms up to 5 s,
 * jittered over its upper half so that many clients do not return at once.
 */
export function backOffMs(attempt: number, random: () => number): number {
  const full = Math.min(BACK_OFF_MS_MAX, BACK_OFF_MS_BASE * 2 ** Math.min(attempt - 1, 10));
  return full * (0.5 + random() / 2);
}
