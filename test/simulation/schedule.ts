import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import { openRandom } from '../../generate/random.ts';
import type { Random } from '../../generate/random.ts';
import type { DimensionName } from '../enrich/pipeline/records.ts';
import type { ClickSchemaName } from './click-schemas.ts';
import { deliverAll, endSchedule } from './ending.ts';
import { DEVICE_IDS, URL_VARIANTS, URLS, USER_IDS, VALUES } from './keys.ts';
import { maintain, rollBack } from './others.ts';
import type { Maintenance } from './others.ts';
import { FAULTS, PORTS } from './outside.ts';
import type { Fault, Port } from './outside.ts';
import { readBack } from './read-back.ts';
import { Supervisor } from './supervisor.ts';
import type { SourceValue, StreamEntry } from './truth.ts';
import { Violation } from './violation.ts';
import { DIMENSIONS, World } from './world.ts';
import type { WorldSize } from './world.ts';

const STEPS_MIN = 3;
const STEPS_MAX = 8;
const EVENT_TIME_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const MAINTENANCE: readonly Maintenance[] = [
  'append',
  'optimize',
  'optimize-manifests',
  'expire',
  'expire',
  'add-column',
];

/** Of schedules, and what their producers switch to. */
const EVOLVING_SHARE = 0.2;
const SWITCHES: readonly (readonly ClickSchemaName[])[] = [
  ['tag'],
  ['score'],
  ['wide'],
  ['both'],
  ['contract', 'tag'],
  ['tag', 'score'],
  ['contract', 'score', 'both', 'wide'],
  ['inner'],
  ['contract', 'inner', 'far', 'tag'],
];
const TAGS = ['red', 'blue'] as const;

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
  try {
    await schedule.begin();
    for (let step = 0; step < steps; step += 1) await schedule.step();
    await schedule.end();
    if (options.writer !== undefined) await readBack(world);
  } finally {
    schedule.close();
  }
  return { commits: world.commits, steps };
}

function sizeOf(random: Random): WorldSize {
  const dimensions = DIMENSIONS.filter(() => random.chance(0.4));
  const some = dimensions.length === 0 ? [DIMENSIONS[random.below(3)] ?? 'users'] : dimensions;
  return {
    dimensions: some,
    streamPartitions: 1 + random.below(3),
    dimensionPartitions: 1 + random.below(2),
    workers: random.chance(0.3) ? 2 : 1,
    rowsMax: 2 + random.below(8),
    intervalMs: 100 + random.below(600),
  };
}

class Schedule {
  readonly #world: World;
  readonly #random: Random;
  readonly #supervisor: Supervisor;
  #actions: readonly Action[] = [];
  #stream = '';
  #isEvolving = false;
  /** What the producers write with, each click with one of them. */
  #schemas: readonly ClickSchemaName[] = ['contract'];

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
    this.#supervisor = new Supervisor(world, random);
  }

  async begin(): Promise<void> {
    const world = this.#world;
    this.#stream = await world.openStream();
    this.#actions = this.#drawActions();
    this.#drawWeather();
    for (let n = this.#random.below(4); n > 0; n -= 1) this.#change(true);
    if (this.#random.chance(0.2)) {
      await world.createTableByHand(this.#random.chance(0.3) ? 'referrer' : undefined);
    }
    if (this.#random.chance(0.8)) world.notify('COMPLETED');
    else world.notify('STARTED');
    const slots = this.#random.chance(0.4) ? 2 : 1;
    for (let slot = 0; slot < slots; slot += 1) this.#supervisor.start(slot, undefined);
  }

  /** Each schedule has its own mixture: what all of them do a little, none does much. */
  #drawActions(): Action[] {
    const often = (weight: number): number => (this.#random.chance(0.7) ? weight : 0);
    const evolving = this.#random.chance(EVOLVING_SHARE) ? 4 : 0;
    this.#isEvolving = evolving > 0;
    return [
      { weight: evolving, play: () => this.#switchSchemas() },
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
      { weight: often(2), play: () => this.#supervisor.thaw() },
      { weight: often(2), play: () => this.#rebalance() },
      { weight: often(3), play: () => this.#maintain() },
      { weight: often(1), play: () => this.#away() },
      { weight: often(2), play: () => deliverAll(this.#world) },
      { weight: often(1), play: () => this.#rollBack() },
      { weight: often(1), play: () => this.#hang() },
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
    this.#supervisor.revive();
    this.#checkBounds();
  }

  // Producers and sources.

  #clicks(): void {
    const partition = this.#random.below(this.#world.size.streamPartitions);
    const clicks = Array.from({ length: 1 + this.#random.below(6) }, () => this.#aClick());
    this.#world.click(partition, clicks, this.#stream);
  }

  /** Producers are rolled out, some of them, all of them, or back. */
  async #switchSchemas(): Promise<void> {
    this.#schemas = this.#pick(SWITCHES);
    this.#world.tell(`producers write with ${this.#schemas.join(', ')}`);
    const world = this.#world;
    // The commit that changes the table is on its way while somebody else changes it.
    const isMet = this.#random.chance(0.4);
    if (isMet) world.weather.arm('commit', 'late');
    for (let n = this.#random.below(3); n >= 0; n -= 1) this.#clicks();
    if (!isMet) return;
    await world.run(world.size.intervalMs + this.#random.below(200));
    await maintain(world, 'add-column');
  }

  #valuesOf(schema: ClickSchemaName): Record<string, string | number | null> {
    const small = this.#random.chance(0.5) ? this.#random.below(1_000) - 500 : null;
    const large = this.#random.chance(0.5) ? 2 ** 40 + this.#random.below(1_000) : 7;
    switch (schema) {
      case 'contract':
        return { duration_ms: small, 'place.x': small };
      case 'tag':
        return { tag: this.#pick(TAGS) };
      case 'score':
        return { score: small };
      case 'both':
        return { tag: this.#pick(TAGS), score: large };
      case 'wide':
        return { duration_ms: large };
      case 'inner':
        return { 'place.x': small, 'place.y': this.#pick(TAGS) };
      case 'far':
        return { 'place.x': large };
    }
  }

  #aClick(): StreamEntry & { kind: 'click' } {
    const schema = this.#pick(this.#schemas);
    return {
      kind: 'click',
      schema,
      values: schema === 'contract' && !this.#isEvolving ? {} : this.#valuesOf(schema),
      userId: this.#pick(USER_IDS),
      deviceId: this.#pick(DEVICE_IDS),
      url: this.#pick([...URLS, ...URL_VARIANTS]),
      eventTimeMs: EVENT_TIME_MS + (this.#random.chance(0.2) ? DAY_MS : 0),
    };
  }

  #rejects(): void {
    const partition = this.#random.below(this.#world.size.streamPartitions);
    const values = [null, Buffer.from('no frame'), Buffer.from([0, 0, 0, 3, 231, 1])];
    // A damaged id names a schema that no producer has begun to use.
    if (this.#isEvolving)
      values.push(Buffer.from([0, 0, 0, 0, 2, 1]), Buffer.from([0, 0, 0, 0, 5, 1]));
    const count = 1 + this.#random.below(2);
    const drawn = Array.from({ length: count }, () => this.#pick(values));
    this.#world.reject(partition, drawn, this.#stream);
  }

  #invisible(): void {
    const partition = this.#random.below(this.#world.size.streamPartitions);
    this.#world.invisible(partition, 1 + this.#random.below(3), this.#stream);
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

  #repeat(): Promise<void> {
    const dimension = this.#pick(this.#world.size.dimensions);
    const key = rowKeyOf(dimension, this.#random.below(4));
    const pauseMs = this.#random.chance(0.5) ? 20 : 0;
    return this.#world.repeat(dimension, key, { count: 1 + this.#random.below(4), pauseMs });
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

  #replace(): void {
    this.#supervisor.replace(this.#random.below(this.#supervisor.slots.length));
  }

  #freeze(): void {
    const process = this.#pick(this.#supervisor.slots);
    this.#world.tell(`${process.name} freezes`);
    process.outside.life.freeze();
  }

  #rebalance(): void {
    const assignment: Record<string, number[]> = {};
    for (let partition = 0; partition < this.#world.size.streamPartitions; partition += 1) {
      const { name } = this.#pick(this.#supervisor.slots);
      (assignment[name] ??= []).push(partition);
    }
    this.#world.tell(`rebalance: ${JSON.stringify(assignment)}`);
    this.#world.log.rebalance('tributary-clicks', assignment);
  }

  /** An upload hangs while partitions change hands, for longer than its batch is waited for. */
  async #hang(): Promise<void> {
    if (!this.#random.chance(0.3)) return;
    const world = this.#world;
    world.weather.arm('store put', 'hang');
    this.#clicks();
    await world.run(2 * world.size.intervalMs);
    this.#rebalance();
    this.#clicks();
    await world.run(15_500);
    this.#clicks();
    await world.run(2_000);
  }

  async #maintain(): Promise<void> {
    const what = this.#pick(MAINTENANCE);
    // Expiry after a roll-back takes away what tells of it.
    if (what === 'expire' && this.#supervisor.mustStop !== undefined) return;
    await maintain(this.#world, what);
  }

  /**
   * Somebody rolls main back, at times to a snapshot of others whose ancestors are expired, and others commit on top
   * before anybody looks. Whoever commits must stop; with the roll-back accepted all goes on.
   */
  async #rollBack(): Promise<void> {
    const world = this.#world;
    if (this.#supervisor.mustStop !== undefined) return;
    const isCovered = this.#random.chance(0.4);
    if (isCovered) {
      await maintain(world, 'append');
      await maintain(world, 'expire');
      this.#clicks();
      await world.run(2 * world.size.intervalMs);
    }
    if (!(await rollBack(world))) return;
    this.#supervisor.mustStop = { message: /rolled back/, invariant: 3 };
    if (isCovered) await maintain(world, 'append');
  }

  /** INVARIANTS.md 12: nobody waits for more than a few things at a time. */
  #checkBounds(): void {
    const living = this.#supervisor.all.length;
    const { sleeping } = this.#world.time;
    if (sleeping > 20 * living)
      throw new Violation(12, `${sleeping} timers for ${living} processes`);
  }

  /** All heals, and everything comes to its end. */
  end(): Promise<void> {
    return endSchedule({
      world: this.#world,
      random: this.#random,
      supervisor: this.#supervisor,
      stream: this.#stream,
      clickAll: (stream) => {
        for (let partition = 0; partition < this.#world.size.streamPartitions; partition += 1) {
          this.#world.click(partition, [this.#aClick()], stream);
        }
      },
      change: () => this.#change(false),
    });
  }

  close(): void {
    this.#supervisor.close();
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
