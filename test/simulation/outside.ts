import type { Random } from '../../generate/random.ts';
import { Life } from '../enrich/pipeline/process.ts';
import type { VirtualTime } from '../enrich/pipeline/virtual-time.ts';

/** Where a process meets the outside world. */
export const PORTS = [
  'log',
  'group',
  'registry',
  'catalog',
  'commit',
  'store put',
  'store get',
  'state write',
  'state read',
] as const;
export type Port = (typeof PORTS)[number];

/**
 * What becomes of one call to the outside: the process dies or freezes before it takes effect or before its
 * answer; it fails without effect, or with it; it takes effect twice; it takes effect late; its answer is late, and
 * tells of what was; it is given up.
 */
export const FAULTS = [
  'crash-before',
  'crash-after',
  'freeze-before',
  'freeze-after',
  'fail-before',
  'fail-after',
  'twice',
  'late',
  'late-answer',
  'never',
] as const;
/** `conflict`, `unauthorized` and `delay` are for commits, `partial` and `hang` for uploads alone. */
export type Fault =
  (typeof FAULTS)[number] | 'conflict' | 'unauthorized' | 'delay' | 'partial' | 'hang';

const LATE_MS_MAX = 4_000;
/** Later than anyone waits for a batch that is taken away. */
const HANG_MS = 16_000;
const NEVER_MS = 20_000;

/** The faults of one schedule: some are drawn at each call, some wait for the next call of a port. */
export class Weather {
  readonly #random: Random;
  #armed: { port: Port; fault: Fault }[] = [];
  readonly away = new Set<Port>();
  /** Chance of a fault at a call. */
  rate = 0;
  faults: readonly Fault[] = [];
  ports: ReadonlySet<Port> = new Set();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next call of the port meets this fault. */
  arm(port: Port, fault: Fault): void {
    this.#armed.push({ port, fault });
  }

  draw(port: Port): Fault | undefined {
    if (this.#armed.length > 0) {
      const index = this.#armed.findIndex((one) => one.port === port);
      if (index >= 0) return this.#armed.splice(index, 1)[0]?.fault;
    }
    if (this.away.has(port)) return 'fail-before';
    if (this.rate === 0 || !this.ports.has(port) || !this.#random.chance(this.rate)) {
      return undefined;
    }
    return this.faults[this.#random.below(this.faults.length)];
  }

  clear(): void {
    this.#armed = [];
    this.away.clear();
    this.rate = 0;
  }

  lateMs(): number {
    return 1 + this.#random.below(LATE_MS_MAX);
  }
}

/** One process's way to the outside: every call passes here, and may meet a fault. */
export class Outside {
  readonly life = new Life();
  readonly #weather: Weather;
  readonly #time: VirtualTime;
  readonly #tell: (what: string) => void;
  readonly #onCall: () => void;

  constructor(options: {
    weather: Weather;
    time: VirtualTime;
    /** Told of each fault. */
    tell: (what: string) => void;
    /** Told of each call: the process has gone on. */
    onCall: () => void;
  }) {
    this.#weather = options.weather;
    this.#time = options.time;
    this.#tell = options.tell;
    this.#onCall = options.onCall;
  }

  /** `lost` makes the error of a call whose answer does not come; `special` deals with faults of one port. */
  call<T>(
    port: Port,
    effect: () => Promise<T>,
    lost: (message: string) => Error,
    special?: (fault: Fault) => Promise<T>,
  ): Promise<T> {
    this.#onCall();
    const fault = this.life.alive ? this.#weather.draw(port) : undefined;
    if (fault === undefined) return this.life.ask(effect);
    this.#tell(`${port}: ${fault}`);
    return this.life.ask(() => this.#meet(fault, { port, effect, lost, special }));
  }

  async #meet<T>(
    fault: Fault,
    call: {
      port: Port;
      effect: () => Promise<T>;
      lost: (message: string) => Error;
      special: ((fault: Fault) => Promise<T>) | undefined;
    },
  ): Promise<T> {
    const { port, effect, lost, special } = call;
    switch (fault) {
      case 'crash-before':
        this.life.kill();
        await this.life.running();
        return effect();
      case 'crash-after':
        await settled(effect());
        this.life.kill();
        await this.life.running();
        return effect();
      case 'freeze-before':
        this.life.freeze();
        await this.life.running();
        return effect();
      case 'freeze-after':
        this.life.freeze();
        return effect();
      case 'fail-before':
        throw lost(`${port}: away`);
      case 'fail-after':
        await settled(effect());
        throw lost(`${port}: the answer is lost`);
      case 'twice':
        await settled(effect());
        return effect();
      case 'late':
        await this.#time.sleep(this.#weather.lateMs());
        // What is on the network arrives without its sender; the disk lets go of a dead process.
        if (port === 'state write') await this.life.running();
        return effect();
      case 'hang':
        await this.#time.sleep(HANG_MS + this.#weather.lateMs());
        return effect();
      case 'late-answer': {
        const answer = await effect();
        await this.#time.sleep(this.#weather.lateMs());
        return answer;
      }
      case 'never':
        await settled(effect());
        await this.#time.sleep(NEVER_MS);
        throw lost(`${port}: no answer`);
      case 'conflict':
      case 'unauthorized':
      case 'delay':
      case 'partial':
        return special === undefined ? effect() : special(fault);
    }
  }
}

/** Waits for an effect whose outcome nobody learns. */
async function settled(effect: Promise<unknown>): Promise<void> {
  await effect.catch(() => undefined);
}
