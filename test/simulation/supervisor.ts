import type { Random } from '../../generate/random.ts';
import { startProcess } from './process.ts';
import type { Process } from './process.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** Virtual time in which what must happen has happened; longer than any back-off and unknown outcome. */
export const PATIENCE_MS = 180_000;
export const LOOK_EVERY_MS = 400;

/**
 * Runs the processes of a schedule, as systemd or an operator does: starts what has died, replaces, takes for
 * dead, freezes; and judges how each has ended.
 */
export class Supervisor {
  readonly slots: Process[] = [];
  readonly #old: Process[] = [];
  readonly #world: World;
  readonly #random: Random;
  #names = 0;
  #states = 0;
  /** The pipeline's name in pipeline.yaml. */
  pipeline = 'clicks';
  acceptRollback = false;
  /** What the pipeline must end with; undefined while nothing has happened that it must not survive. */
  mustStop: { message: RegExp; invariant: number } | undefined;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  get all(): readonly Process[] {
    return [...this.slots, ...this.#old];
  }

  start(slot: number, state: string | undefined): Process {
    const name = `p${this.#names++}`;
    const process = startProcess(this.#world, {
      name,
      state: state ?? `state-${this.#states++}`,
      pipeline: this.pipeline,
      groupId: slot > 0 && this.#random.chance(0.2) ? 'another-group' : 'tributary-clicks',
      acceptRollback: this.acceptRollback,
    });
    this.#world.tell(`${name} starts on ${process.state}`);
    this.slots[slot] = process;
    return process;
  }

  /** Stops, kills or takes for dead, and starts a successor. */
  replace(slot: number): void {
    const old = this.slots[slot];
    if (old === undefined) return;
    const gently = this.#random.chance(0.3) && old.outside.life.alive;
    const zombie = !gently && this.#random.chance(0.3);
    this.#world.tell(`${old.name} is ${gently ? 'stopped' : zombie ? 'taken for dead' : 'killed'}`);
    if (gently) old.stop();
    else if (zombie) old.outside.life.freeze();
    else old.kill();
    this.#old.push(old);
    // A state belongs to one process: only a killed one has let go of it.
    const keeps = !gently && !zombie && this.#random.chance(0.7);
    this.start(slot, keeps ? old.state : undefined);
  }

  thaw(): void {
    for (const { outside } of this.all) outside.life.thaw();
  }

  /** Starts anew what has died at a fault. What has ended by itself must have had a reason to. */
  revive(): void {
    // The group lets go of a member that has died.
    for (const process of this.#old) if (!process.outside.life.alive) process.kill();
    for (const [slot, process] of this.slots.entries()) {
      const ended = process.ended();
      if (ended !== undefined) this.judge(process, ended.error);
      if (process.outside.life.alive && ended === undefined) continue;
      if (this.mustStop !== undefined && ended !== undefined) continue;
      this.restart(slot, process.state);
    }
  }

  restart(slot: number, state: string | undefined): void {
    const process = this.slots[slot];
    process?.kill();
    if (process !== undefined) this.#old.push(process);
    this.start(slot, state);
  }

  judge(process: Process, error: unknown): void {
    const { kind, message = '' } = (error ?? {}) as { kind?: string; message?: string };
    if (kind === 'fenced' && this.mustStop?.message.test(message) === true) return;
    // A disk that is full when the state is opened.
    if (kind === 'unavailable' && message.startsWith('state')) return;
    const reason = error instanceof Error ? (error.stack ?? message) : String(error);
    throw new Violation(this.mustStop?.invariant ?? 0, `${process.name} ended: ${reason}`);
  }

  /** Gives every partition to the first process. */
  giveAllToFirst(): void {
    const { log, size } = this.#world;
    const all = Array.from({ length: size.streamPartitions }, (_, partition) => partition);
    log.rebalance('tributary-clicks', { [this.slots[0]?.name ?? '']: all });
  }

  /**
   * Whoever runs must end, with the error that this calls for, and so must whoever starts after it. Ends with all
   * dead. Where nobody is left to notice, or nothing was ever committed, nothing is asked.
   */
  async expectStop(): Promise<void> {
    await this.#untilOneEnds();
    this.restart(0, this.slots[0]?.state);
    this.giveAllToFirst();
    await this.expectOneEnd();
  }

  /** As `expectStop`, where a start after it is the remedy. */
  async expectOneEnd(): Promise<void> {
    await this.#untilOneEnds();
    this.killAll();
    this.mustStop = undefined;
  }

  async #untilOneEnds(): Promise<void> {
    for (let waitedMs = 0; !this.slots.some((process) => process.ended());) {
      this.thaw();
      await this.#world.run(LOOK_EVERY_MS);
      waitedMs += LOOK_EVERY_MS;
      if (this.slots.every(({ outside }) => !outside.life.alive)) return;
      if (waitedMs > PATIENCE_MS) {
        const { message, invariant = 0 } = this.mustStop ?? {};
        throw new Violation(invariant, `nothing stopped the pipeline: ${String(message)}`);
      }
    }
    for (const process of this.slots) {
      const ended = process.ended();
      if (ended !== undefined) this.judge(process, ended.error);
    }
  }

  killAll(): void {
    for (const process of this.all) process.kill();
  }

  /** Ends what listens for the end, which would be kept for ever. */
  close(): void {
    for (const process of this.all) {
      process.kill();
      process.stop();
    }
  }
}
