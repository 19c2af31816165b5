import type { Clock } from '../../../enrich/clock.ts';
import type { Pause } from '../../../enrich/source/memory-log.ts';

/** Turns of the event loop after which everything that can go on without time has gone on. */
const SETTLE_TURNS = 3;

type Sleeper = { atMs: number; wake: () => void };

/** Time that passes only when a test says so: sleepers wake in order, and between two of them all settles. */
export class VirtualTime {
  #nowMs: number;
  /** By time, then in the order in which they went to sleep. */
  readonly #sleepers: Sleeper[] = [];
  readonly #settle: () => Promise<void>;

  /** `settle` resolves once nothing can go on without time. */
  constructor(startMs: number, settle: () => Promise<void> = settleByTurns) {
    this.#nowMs = startMs;
    this.#settle = settle;
  }

  /** How many sleep now. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  nowMs = (): number => this.#nowMs;

  sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted === true) return Promise.resolve();
    const { done, end } = this.pause(ms);
    if (signal === undefined) return done;
    signal.addEventListener('abort', end, { once: true });
    return done.then(() => signal.removeEventListener('abort', end));
  };

  /** A sleep that can be cut short. */
  pause = (ms: number): Pause => {
    const { promise: done, resolve: wake } = Promise.withResolvers<void>();
    const sleeper: Sleeper = { atMs: this.#nowMs + Math.max(0, ms), wake };
    let at = this.#sleepers.length;
    while (at > 0 && (this.#sleepers[at - 1]?.atMs ?? 0) > sleeper.atMs) at -= 1;
    this.#sleepers.splice(at, 0, sleeper);
    const end = (): void => {
      const found = this.#sleepers.indexOf(sleeper);
      if (found >= 0) this.#sleepers.splice(found, 1);
      wake();
    };
    return { done, end };
  };

  /** Lets `ms` pass, waking whoever sleeps less. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      await this.#settle();
      const next = this.#sleepers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#sleepers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
    this.#nowMs = endMs;
  }
}

/** A turn of the event loop: all that waits for no time and no real work has gone on after it. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

async function settleByTurns(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await nextTurn();
}

/** A clock of virtual time whose chance and ids count up: two runs of a test are the same run. */
export function virtualClock(time: VirtualTime): Clock {
  let drawn = 0;
  let ids = 0;
  return {
    nowMs: time.nowMs,
    elapsedMs: time.nowMs,
    sleep: time.sleep,
    random: () => ((drawn++ * 7919) % 1000) / 1000,
    newId: () => `00000000-0000-4000-9000-${String(ids++).padStart(12, '0')}`,
  };
}
