/** What a process that was killed waits for: one of its own, which goes with it. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}

const ITERATING = new Set<string | symbol>(['scan', 'list']);

/**
 * The life of one simulated process: what it asks of the outside is answered only while it lives. Frozen,
 * as by a long pause of its machine, it gets its answers when it thaws; killed, it gets none any more.
 */
export class Life {
  #alive = true;
  #thawed: Promise<void> | undefined;
  #thaw: (() => void) | undefined;

  get alive(): boolean {
    return this.#alive;
  }

  kill(): void {
    this.#alive = false;
  }

  freeze(): void {
    this.#thawed ??= new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  thaw(): void {
    this.#thawed = undefined;
    this.#thaw?.();
  }

  /** Resolves once the process runs, which a killed one never does again. */
  async running(): Promise<void> {
    while (this.#alive && this.#thawed !== undefined) await this.#thawed;
    if (!this.#alive) await never();
  }

  /** Asks the outside, while alive, and hands the answer over, while alive. */
  ask<T>(question: () => Promise<T>): Promise<T> {
    if (!this.#runs) return this.running().then(() => this.ask(question));
    return question().then(this.#handOver, this.#handOverError) as Promise<T>;
  }

  get #runs(): boolean {
    return this.#alive && this.#thawed === undefined;
  }

  readonly #handOver = (answer: unknown): unknown =>
    this.#runs ? answer : this.running().then(() => answer);

  readonly #handOverError = async (error: unknown): Promise<never> => {
    await this.running();
    throw error;
  };

  /** The object with every method asked through `ask`; each must return a promise or an async iterable. */
  guard<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => {
          const call = (): unknown => Reflect.apply(member, target, args);
          return ITERATING.has(name) ? call() : this.ask(async () => call());
        };
      },
    });
  }
}
