import type { AvroObject } from '../../schemas/contract.ts';
import type { SchemaCache } from '../../schemas/schema-cache.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { PipelineStatus } from './pipeline-status.ts';
import { isUnavailable, retryUntilAvailable } from './retry.ts';

/** How long a reader stands still for the registry; what takes longer is loaded beside the reading. */
const LOAD_WAIT_MS_MAX = 250;
/** Records wait meanwhile: the registry's return is to be noticed soon. */
const BACKOFF_MS_MAX = 2_000;
/** How often the registry is asked about a schema that counts because it was kept. */
const CONFIRM_EVERY_MS = 10_000;

/**
 * Schemas by registry id for everything that reads records. An id that is not known yet is loaded for as
 * long as the registry is away: its records wait, seen in `status`, log and metrics, and never become
 * rejects. Partitions that do not need it are read on meanwhile.
 */
export class SchemaLoads {
  readonly #schemas: SchemaCache;
  readonly #context: {
    clock: Clock;
    logger: Logger;
    metrics: Metrics;
    status: PipelineStatus;
    signal: AbortSignal;
  };
  readonly #underWay = new Map<number, Promise<void>>();
  /** What no waiting mends, such as refused credentials. */
  #failure: unknown;

  constructor(
    schemas: SchemaCache,
    context: {
      clock: Clock;
      logger: Logger;
      metrics: Metrics;
      status: PipelineStatus;
      signal: AbortSignal;
    },
  ) {
    this.#schemas = schemas;
    this.#context = context;
  }

  resolve(schemaId: number): AvroObject | undefined {
    return this.#schemas.resolve(schemaId);
  }

  isUnknown(schemaId: number): boolean {
    return this.#schemas.isUnknown(schemaId);
  }

  isLoading(schemaId: number): boolean {
    return this.#underWay.has(schemaId);
  }

  /** Starts to load these and waits for them, for a moment at most. Errors: `config`, also of earlier loads. */
  async load(schemaIds: Iterable<number>): Promise<void> {
    const { clock } = this.#context;
    const loads = [...schemaIds].map((schemaId) => this.#load(schemaId));
    const settled = new AbortController();
    await Promise.race([Promise.all(loads), clock.sleep(LOAD_WAIT_MS_MAX, settled.signal)]);
    settled.abort();
    this.assertSound();
  }

  /** Errors: `config` of loads, and of what the registry said later about schemas that were kept. */
  assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #load(schemaId: number): Promise<void> {
    const underWay = this.#underWay.get(schemaId);
    if (underWay !== undefined) return underWay;
    const load = this.#untilLoaded(schemaId).finally(() => {
      this.#underWay.delete(schemaId);
      this.#context.metrics.schemasAwaited.set(this.#underWay.size);
    });
    this.#underWay.set(schemaId, load);
    this.#context.metrics.schemasAwaited.set(this.#underWay.size);
    return load;
  }

  async #untilLoaded(schemaId: number): Promise<void> {
    try {
      const loaded = await retryUntilAvailable({
        what: `loading schema ${schemaId} from the registry`,
        attempt: () => this.#schemas.load(schemaId),
        backoffMsMax: BACKOFF_MS_MAX,
        ...this.#context,
      });
      if (loaded === 'kept') void this.#confirm(schemaId);
    } catch (error) {
      // A stop ends the wait for what is away: that is no failure.
      if (!this.#context.signal.aborted || !isUnavailable(error)) this.#failure ??= error;
    }
  }

  /** Until the registry has said whether a schema that was kept is still the one of its id. Never rejects. */
  async #confirm(schemaId: number): Promise<void> {
    const { clock, signal } = this.#context;
    while (!signal.aborted) {
      try {
        if (await this.#schemas.confirm(schemaId)) return;
      } catch (error) {
        if (!isUnavailable(error)) {
          this.#failure ??= error;
          return;
        }
      }
      await clock.sleep(CONFIRM_EVERY_MS, signal);
    }
  }
}
