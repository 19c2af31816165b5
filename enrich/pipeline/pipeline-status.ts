import type { Clock } from '../clock.ts';
import type { Health } from '../http-server.ts';

/**
 * A loop that has not turned for so long is stuck: a poll, a join and an upload all take less, and what takes longer
 * tells that it is at work.
 */
const STUCK_MS_MAX = 180_000;

/** The trouble that any reader may report and the dimension feed, which reads all the time, sees overcome. */
export const KAFKA = 'Kafka';

/** The loop that takes changes into the state. */
export const DIMENSION_FEED = 'dimension feed';

/** What the running pipeline knows of its own health, for `/livez`, `/readyz` and the log. */
export class PipelineStatus implements Health {
  readonly #clock: Clock;
  readonly #turnedAtMs = new Map<string, number>();
  readonly #troubles = new Map<string, string>();
  readonly #notes = new Map<string, string>();
  #waitingFor: string | undefined = 'starting';
  #failure: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Before the loops turn, for the first time or once more. */
  starting(): void {
    this.#turnedAtMs.clear();
    this.#notes.clear();
    this.#waitingFor = 'starting';
  }

  /** To be called by each loop, by name, at each of its turns. */
  turned(loop: string): void {
    this.#turnedAtMs.set(loop, this.#clock.elapsedMs());
  }

  /** To be called by long work that a loop waits for, which is then not stuck. Nothing for a loop that does not turn. */
  atWork(loop: string): void {
    if (this.#turnedAtMs.has(loop)) this.turned(loop);
  }

  /** After the last turn of all loops. */
  stopping(): void {
    this.#turnedAtMs.clear();
    this.#waitingFor = 'stopping';
  }

  waitFor(what: string): void {
    this.#waitingFor = what;
  }

  ready(): void {
    this.#waitingFor = undefined;
  }

  /** Something that is away and being waited for; the pipeline is alive, but not ready. */
  trouble(what: string, message: string): void {
    this.#troubles.set(what, message);
  }

  overcome(what: string): void {
    this.#troubles.delete(what);
  }

  /** What an operator should see though clicks are joined, until it is withdrawn or the loops turn anew. */
  note(what: string, message: string): void {
    this.#notes.set(what, message);
  }

  withdraw(what: string): void {
    this.#notes.delete(what);
  }

  notes(): readonly string[] {
    return [...this.#notes.values()];
  }

  fail(reason: string): void {
    this.#failure = reason;
  }

  failure(): string | undefined {
    if (this.#failure !== undefined) return this.#failure;
    const elapsedMs = this.#clock.elapsedMs();
    for (const [loop, turnedAtMs] of this.#turnedAtMs) {
      const idleMs = elapsedMs - turnedAtMs;
      if (idleMs > STUCK_MS_MAX) return `${loop} has been stuck for ${Math.round(idleMs / 1000)} s`;
    }
    return undefined;
  }

  waitingFor(): string | undefined {
    // What is away explains a wait better than the wait itself.
    for (const [what, message] of this.#troubles) return `${what}: ${message}`;
    return this.#waitingFor;
  }
}
