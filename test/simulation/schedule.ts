import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import { openRandom } from '../../generate/random.ts';
import type { Random } from '../../generate/random.ts';
import type { DimensionName } from '../enrich/pipeline/records.ts';
import { checkChangeRejects, checkComplete } from './commit-checks.ts';
import { DEVICE_IDS, URL_VARIANTS, URLS, USER_IDS, VALUES } from './keys.ts';
import { maintain, rollBack } from './others.ts';
import type { Maintenance } from './others.ts';
import { FAULTS, PORTS } from './outside.ts';
import type { Fault, Port } from './outside.ts';
import { startProcess } from './process.ts';
import type { Process } from './process.ts';
import type { SourceValue, StreamEntry } from './truth.ts';
import { Violation } from './violation.ts';
import { DIMENSIONS, World } from './world.ts';
import type { WorldSize } from './world.ts';

const STEPS_MIN = 4;
const STEPS_MAX = 16;
const EVENT_TIME_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
/** Virtual time in which a healed world must have taken everything; longer than any back-off and unknown outcome. */
const HEAL_MS_MAX = 180_000;
const HEAL_STEP_MS = 400;

const MAINTENANCE: readonly Maintenance[] = [
  'append',
  'optimize',
  'optimize-manifests',
  'expire',
  'expire',
  'add-column',
];

type Action = { weight: number; play: () => Promise<void> | void };

/** What came of a schedule that broke nothing. */
export type Played = { commits: number; steps: number };

/**
 * One schedule, all of it drawn from one seed: a world, two processes, steps of producers, sources, operators and
 * faults, then calm, in which everything must come to its end. Throws the first `Violation`.
 */
export async function playSchedule(options: {
  seed: number;
  writer?: DataFileWriter;
  trace?: (line: string) => void;
}): Promise<Played> {
  const random = openRandom(options.seed, 'schedule');
  const world = new World({ ...options, size: sizeOf(random), random });
  const schedule = new Schedule(world, random);
  const steps = STEPS_MIN + random.below(STEPS_MAX - STEPS_MIN + 1);
  await schedule.begin();
  for (let step = 0; step < steps; step += 1) await schedule.step();
  await schedule.end();
  return { commits: world.commits, steps };
}

function sizeOf(random: Random): WorldSize {
  const dimensions = DIMENSIONS.filter(() => random.chance(0.6));
  const some = dimensions.length === 0 ? [DIMENSIONS[random.below(3)] ?? 'users'] : dimensions;
  return {
    dimensions: some,
    streamPartitions: 1 + random.below(3),
    dimensionPartitions: 1 + random.below(2),
    rowsMax: 2 + random.below(8),
    intervalMs: 100 + random.below(600),
  };
}

class Schedule {
  readonly #world: World;
  readonly #random: Random;
  readonly #slots: Process[] = [];
  readonly #old: Process[] = [];
  #actions: readonly Action[] = [];
  #topicId = '';
  #pipeline = 'clicks';
  #acceptRollback = false;
  #names = 0;
  #states = 0;
  /** Rolled back: the pipeline must stop, until the roll-back is accepted. */
  #mustStop = false;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  async begin(): Promise<void> {
    const world = this.#world;
    this.#topicId = await world.topicId();
    world.truth.addStream(this.#topicId, world.size.streamPartitions);
    this.#actions = this.#drawActions();
    this.#drawWeather();
    for (let n = this.#random.below(4); n > 0; n -= 1) this.#change(true);
    if (this.#random.chance(0.8)) world.notify('COMPLETED');
    else world.notify('STARTED');
    const slots = 1 + this.#random.below(2);
    for (let slot = 0; slot < slots; slot += 1) this.#start(slot, undefined);
  }

  /** Each schedule has its own mixture: what all of them do a little, none does much. */
  #drawActions(): Action[] {
    const often = (weight: number): number => (this.#random.chance(0.7) ? weight : 0);
    return [
      { weight: 8, play: () => this.#clicks() },
      { weight: often(2), play: () => this.#rejects() },
      { weight: often(1), play: () => this.#invisible() },
      { weight: 6, play: () => this.#change(false) },
      { weight: often(2), play: () => this.#repeat() },
      { weight: often(1), play: () => this.#rejectChange() },
      { weight: often(1), play: () => this.#compact() },
      { weight: often(4), play: () => this.#arm() },
      { weight: often(3), play: () => this.#replace() },
      { weight: often(2), play: () => this.#freeze() },
      { weight: often(2), play: () => this.#thaw() },
      { weight: often(2), play: () => this.#rebalance() },
      { weight: often(3), play: () => this.#maintain() },
      { weight: often(1), play: () => this.#away() },
      { weight: often(2), play: () => this.#deliver() },
      { weight: often(1), play: () => this.#rollBack() },
    ];
  }

  #drawWeather(): void {
    const { weather } = this.#world;
    const random = this.#random;
    weather.rate = [0, 0, 0.005, 0.02][random.below(4)] ?? 0;
    weather.faults = FAULTS.filter(() => random.chance(0.5));
    weather.ports = new Set(PORTS.filter((port) => port !== 'state read' && random.chance(0.5)));
    if (weather.faults.length === 0) weather.rate = 0;
  }

  async step(): Promise<void> {
    const total = this.#actions.reduce((sum, { weight }) => sum + weight, 0);
    let at = this.#random.below(total);
    for (const { weight, play } of this.#actions) {
      at -= weight;
      if (at >= 0) continue;
      await play();
      break;
    }
    const waits = [0, 20, 150, 400, 1_200];
    await this.#world.run(waits[this.#random.below(waits.length)] ?? 0);
    await this.#revive();
    this.#checkBounds();
  }

  // Producers and sources.

  #clicks(): void {
    const partition = this.#random.below(this.#world.size.streamPartitions);
    const clicks = Array.from({ length: 1 + this.#random.below(6) }, () => this.#aClick());
    this.#world.click(partition, clicks, this.#topicId);
  }

  #aClick(): StreamEntry & { kind: 'click' } {
    return {
      kind: 'click',
      userId: this.#pick(USER_IDS),
      deviceId: this.#pick(DEVICE_IDS),
      url: this.#pick([...URLS, ...URL_VARIANTS]),
      eventTimeMs: EVENT_TIME_MS + (this.#random.chance(0.2) ? DAY_MS : 0),
    };
  }

  #rejects(): void {
    const partition = this.#random.below(this.#world.size.streamPartitions);
    const values = [null, Buffer.from('no frame'), Buffer.from([0, 0, 0, 3, 231, 1])];
    const count = 1 + this.#random.below(2);
    const drawn = Array.from({ length: count }, () => this.#pick(values));
    this.#world.reject(partition, drawn, this.#topicId);
  }

  #invisible(): void {
    const partition = this.#random.below(this.#world.size.streamPartitions);
    this.#world.invisible(partition, 1 + this.#random.below(3), this.#topicId);
  }

  #change(initialSnapshot: boolean): void {
    const dimension = this.#pick(this.#world.size.dimensions);
    const key = this.#random.below(4);
    const isDelete = !initialSnapshot && this.#random.chance(0.2);
    const row = isDelete ? undefined : this.#aRow(dimension);
    this.#world.change(dimension, rowKeyOf(dimension, key), row, initialSnapshot);
  }

  #aRow(dimension: DimensionName): SourceValue {
    const value = this.#pick(VALUES);
    return dimension === 'urls'
      ? { value, url: this.#pick([...URLS, ...URL_VARIANTS]) }
      : { value };
  }

  #repeat(): void {
    const dimension = this.#pick(this.#world.size.dimensions);
    const key = rowKeyOf(dimension, this.#random.below(4));
    this.#world.repeat(dimension, key, 1 + this.#random.below(4));
  }

  #rejectChange(): void {
    const partition = this.#random.below(this.#world.size.dimensionPartitions);
    const dimension = this.#pick(this.#world.size.dimensions);
    if (this.#random.chance(0.5)) this.#world.rejectChange(dimension, partition);
    else this.#world.invisibleChange(dimension, partition, 1 + this.#random.below(2));
  }

  #compact(): void {
    const dimension = this.#pick(this.#world.size.dimensions);
    const partition = this.#random.below(this.#world.size.dimensionPartitions);
    this.#world.tell(`${dimension}-${partition} is compacted`);
    this.#world.compact(dimension, partition);
  }

  // Faults, operators, supervisors.

  #arm(): void {
    const special: readonly [Port, Fault][] = [
      ['commit', 'conflict'],
      ['commit', 'unauthorized'],
      ['commit', 'delay'],
      ['commit', 'delay'],
      ['store put', 'partial'],
    ];
    const ports: readonly Port[] = [
      ...PORTS,
      'commit',
      'commit',
      'commit',
      'store put',
      'state write',
    ];
    const [port, fault] = this.#random.chance(0.3)
      ? this.#pick(special)
      : [this.#pick(ports.filter((one) => one !== 'state read')), this.#pick(FAULTS)];
    this.#world.tell(`armed: ${port} ${fault}`);
    this.#world.weather.arm(port, fault);
  }

  #away(): void {
    const port = this.#pick(PORTS.filter((one) => one !== 'state read'));
    const { away } = this.#world.weather;
    this.#world.tell(`${port} ${away.has(port) ? 'is back' : 'is away'}`);
    if (away.has(port)) away.delete(port);
    else away.add(port);
  }

  async #replace(): Promise<void> {
    const slot = this.#random.below(this.#slots.length);
    const old = this.#slots[slot];
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
    this.#start(slot, keeps ? old.state : undefined);
  }

  #freeze(): void {
    const process = this.#pick(this.#slots);
    this.#world.tell(`${process.name} freezes`);
    process.outside.life.freeze();
  }

  #thaw(): void {
    for (const { outside } of [...this.#slots, ...this.#old]) outside.life.thaw();
  }

  #rebalance(): void {
    const assignment: Record<string, number[]> = {};
    for (let partition = 0; partition < this.#world.size.streamPartitions; partition += 1) {
      const { name } = this.#pick(this.#slots);
      (assignment[name] ??= []).push(partition);
    }
    this.#world.tell(`rebalance: ${JSON.stringify(assignment)}`);
    this.#world.log.rebalance('tributary-clicks', assignment);
  }

  async #maintain(): Promise<void> {
    const what = this.#pick(MAINTENANCE);
    // Expiry after a roll-back takes away what tells of it.
    if (what !== 'expire' || !this.#mustStop) await maintain(this.#world, what);
  }

  async #deliver(): Promise<void> {
    await this.#deliverAll();
  }

  async #deliverAll(): Promise<void> {
    for (const { send } of this.#world.delayed.splice(0)) {
      this.#world.tell('a delayed commit arrives');
      await send().catch(() => undefined);
    }
  }

  /** Somebody rolls main back. Whoever commits must stop; with the roll-back accepted all goes on. */
  async #rollBack(): Promise<void> {
    if (this.#mustStop || !(await rollBack(this.#world))) return;
    this.#mustStop = true;
  }

  #start(slot: number, state: string | undefined): void {
    const name = `p${this.#names++}`;
    const world = this.#world;
    const process = startProcess(world, {
      name,
      state: state ?? `state-${this.#states++}`,
      pipeline: this.#pipeline,
      groupId: slot > 0 && this.#random.chance(0.2) ? 'another-group' : 'tributary-clicks',
      acceptRollback: this.#acceptRollback,
    });
    world.tell(`${name} starts on ${process.state}`);
    this.#slots[slot] = process;
  }

  /** Starts anew what has died at a fault. What has ended by itself must have had a reason to. */
  async #revive(): Promise<void> {
    for (const [slot, process] of this.#slots.entries()) {
      const ended = process.ended();
      if (ended !== undefined) this.#judgeEnd(process, ended.error);
      if (process.outside.life.alive && ended === undefined) continue;
      if (this.#mustStop && ended !== undefined) continue;
      process.kill();
      this.#old.push(process);
      this.#start(slot, process.state);
    }
  }

  #judgeEnd(process: Process, error: unknown): void {
    const { kind, message } = (error ?? {}) as { kind?: string; message?: string };
    if (this.#mustStop && kind === 'fenced' && /rolled back/.test(message ?? '')) return;
    // A disk that is full when the state is opened.
    if (kind === 'unavailable') return;
    const reason = error instanceof Error ? (error.stack ?? message) : String(error);
    throw new Violation(0, `${process.name} ended: ${reason}`);
  }

  /** INVARIANTS.md 12: nobody waits for more than a few things at a time. */
  #checkBounds(): void {
    const living = [...this.#slots, ...this.#old].length;
    const { sleeping } = this.#world.time;
    if (sleeping > 20 * living)
      throw new Violation(12, `${sleeping} timers for ${living} processes`);
  }

  // The end.

  /** All heals; what is meant to stop the pipeline has stopped it, and its remedy works. */
  async end(): Promise<void> {
    const world = this.#world;
    world.tell('all heals');
    world.weather.clear();
    if (world.loadedEnds === undefined || this.#random.chance(0.3)) world.notify('COMPLETED');
    this.#thaw();
    await this.#deliverAll();
    await world.run(HEAL_STEP_MS);
    if (this.#mustStop) await this.#acceptTheRollBack();
    world.log.rebalance('tributary-clicks', {
      [this.#slots[0]?.name ?? '']: Array.from(
        { length: world.size.streamPartitions },
        (_, partition) => partition,
      ),
    });
    const untilMs = world.time.nowMs() + HEAL_MS_MAX;
    let calm = 0;
    while (calm < 2) {
      await this.#deliverAll();
      await world.run(HEAL_STEP_MS);
      await this.#revive();
      calm = this.#isDone() ? calm + 1 : 0;
      if (world.time.nowMs() > untilMs) throw new Violation(0, this.#whatIsLeft());
    }
    this.#checkEnd();
  }

  async #acceptTheRollBack(): Promise<void> {
    const world = this.#world;
    for (let partition = 0; partition < world.size.streamPartitions; partition += 1) {
      world.click(partition, [this.#aClick()], this.#topicId);
    }
    // One without partitions has nothing to commit, and need not notice.
    for (let waitedMs = 0; !this.#slots.some((process) => process.ended());) {
      await world.run(HEAL_STEP_MS);
      waitedMs += HEAL_STEP_MS;
      if (this.#slots.every(({ outside }) => !outside.life.alive)) break;
      if (waitedMs > HEAL_MS_MAX) throw new Violation(0, 'a roll-back did not stop the pipeline');
    }
    for (const process of this.#slots) {
      const ended = process.ended();
      if (ended !== undefined) this.#judgeEnd(process, ended.error);
      process.kill();
    }
    for (const process of this.#old) process.kill();
    world.tell('the roll-back is accepted');
    this.#mustStop = false;
    this.#acceptRollback = true;
    world.rolledBack = false;
    for (const slot of this.#slots.keys()) this.#start(slot, this.#slots[slot]?.state);
    await world.run(HEAL_STEP_MS);
  }

  #isDone(): boolean {
    return this.#whatIsLeft() === '';
  }

  /** Why the world is not at rest yet; empty once it is. */
  #whatIsLeft(): string {
    const world = this.#world;
    const around = world.surroundings;
    const log = world.truth.streams.get(this.#topicId) ?? [];
    const state = around?.events.states.get(this.#pipeline);
    for (const [partition, entries] of log.entries()) {
      if (entries.length > 0 && (state?.next.get(partition) ?? 0) < entries.length) {
        return `partition ${partition} stands at ${state?.next.get(partition)} of ${entries.length}`;
      }
    }
    for (const process of this.#slots) {
      const { model } = world.state(process.state);
      for (const dimension of world.size.dimensions) {
        for (const [partition, entries] of (world.truth.changes.get(dimension) ?? []).entries()) {
          if (model.next(dimension, partition) < entries.length) {
            return `${process.state} has not read ${dimension}-${partition}`;
          }
        }
      }
    }
    if (around === undefined) return '';
    return this.#lettersLeft();
  }

  #lettersLeft(): string {
    const around = this.#world.surroundings;
    if (around === undefined) return '';
    try {
      checkChangeRejects(around);
      checkComplete(around);
      return '';
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return `${error.invariant}: ${error.message}`;
    }
  }

  #checkEnd(): void {
    const world = this.#world;
    for (const process of this.#slots) {
      const { model } = world.state(process.state);
      for (const dimension of world.size.dimensions) {
        const live = model.liveRows(dimension);
        for (const [rowKey, { row }] of world.truth.rows(dimension)) {
          if (live.get(rowKey)?.value === row?.value) continue;
          throw new Violation(
            8,
            `${process.state} has ${live.get(rowKey)?.value ?? 'no row'} for ${dimension} ${rowKey}, the source ` +
              `has ${row?.value ?? 'none'}`,
          );
        }
      }
    }
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)] as T;
  }
}

function rowKeyOf(dimension: DimensionName, key: number): string | number {
  if (dimension === 'users') return USER_IDS[key] ?? 1;
  if (dimension === 'devices') return DEVICE_IDS[key] ?? '';
  return key + 1;
}
