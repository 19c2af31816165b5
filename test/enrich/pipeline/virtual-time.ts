import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../enrich/clock.ts';

/** Turns of the event loop after which everything that can go on without time has gone on. */
const SETTLE_TURNS = 3;

type Sleeper = { atMs: number; order: number; wake: () => void };

/** Time that passes only when a test says so: sleepers wake in order, and between two of them all settles. */
export class VirtualTime {
  #nowMs: number;
  #order = 0;
  #sleepers: Sleeper[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs = (): number => this.#nowMs;

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const sleeper: Sleeper = { atMs: this.#nowMs + ms, order: this.#order++, wake: resolve };
      this.#sleepers.push(sleeper);
      const wakeEarly = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      };
      signal?.addEventListener('abort', wakeEarly, { once: true });
      sleeper.wake = () => {
        signal?.removeEventListener('abort', wakeEarly);
        resolve();
      };
    });

  /** Lets `ms` pass, waking whoever sleeps less. */
  async run(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await nextTurn();
      const next = this.#next();
      if (next === undefined || next.atMs > endMs) break;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
    }
    this.#nowMs = endMs;
  }

  #next(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (first === undefined || sleeper.atMs < first.atMs) first = sleeper;
      else if (sleeper.atMs === first.atMs && sleeper.order < first.order) first = sleeper;
    }
    return first;
  }
}

/** A clock of virtual time whose chance and ids count up: two runs of a test are the same run. */
export function virtualClock(time: VirtualTime): Clock {
  let drawn = 0;
  let ids = 0;
  return {
    nowMs: time.nowMs,
    sleep: time.sleep,
    random: () => ((drawn++ * 7919) % 1000) / 1000,
    newId: () => `00000000-0000-4000-9000-${String(ids++).padStart(12, '0')}`,
  };
}
