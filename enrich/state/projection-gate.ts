/**
 * Keeps joins and changes of the projections apart: joins run side by side, changes only while none runs. A join
 * that comes while a change waits lets it go first, so that neither can keep the other out.
 */
export class ProjectionGate {
  #holds = 0;
  #changes: (() => void)[] = [];
  #held: (() => void)[] = [];

  /** Runs the work while nothing changes. To hold once more inside of it could wait for ever. */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    while (this.#changes.length > 0) {
      await new Promise<void>((resolve) => this.#held.push(resolve));
    }
    this.#holds += 1;
    try {
      return await work();
    } finally {
      this.#holds -= 1;
      if (this.#holds === 0) this.#open();
    }
  }

  /** Makes a change, all of it in one turn, as soon as nothing holds. */
  async change(work: () => void): Promise<void> {
    if (this.#holds === 0) {
      work();
      return;
    }
    await new Promise<void>((resolve, reject) => {
      this.#changes.push(() => {
        try {
          work();
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #open(): void {
    for (const change of this.#changes.splice(0)) change();
    for (const resolve of this.#held.splice(0)) resolve();
  }
}
