import type { AvroObject } from '../../schemas/contract.ts';
import type { DecodeFailure } from '../../schemas/row-buffer.ts';
import { createSchemaCache } from '../../schemas/schema-cache.ts';
import type { Lesson } from './click-worker.ts';

/**
 * The schemas that a worker was told, and the ids that it has to ask for. Kept as long and in such numbers as
 * those of the registry itself.
 */
export class ToldSchemas {
  readonly #told = new Map<number, AvroObject | 'unknown'>();
  readonly #cache: ReturnType<typeof createSchemaCache>;
  readonly #refusals = new WeakMap<AvroObject, DecodeFailure>();
  /** Asked for by a reader, and not told since. */
  readonly #asked = new Set<number>();

  constructor(elapsedMs: () => number) {
    const schemaById = async (schemaId: number): Promise<AvroObject | 'unknown'> =>
      this.#told.get(schemaId) ?? 'unknown';
    this.#cache = createSchemaCache({ registry: { schemaById }, elapsedMs });
  }

  async learn({ avroSchemas, refused }: Omit<Lesson, 'contract'>): Promise<void> {
    for (const [schemaId, avroSchema] of avroSchemas) {
      this.#told.set(schemaId, avroSchema);
      await this.#cache.load(schemaId);
      this.#told.delete(schemaId);
      const known = this.#cache.resolve(schemaId);
      const reason = refused.get(schemaId);
      if (known !== undefined && reason !== undefined) this.#refusals.set(known, reason);
      this.#asked.delete(schemaId);
    }
  }

  refusal(avroSchema: AvroObject): DecodeFailure | undefined {
    return this.#refusals.get(avroSchema);
  }

  resolve(schemaId: number): AvroObject | undefined {
    return this.#cache.resolve(schemaId);
  }

  isUnknown(schemaId: number): boolean {
    return this.#cache.isUnknown(schemaId);
  }

  isLoading(schemaId: number): boolean {
    return this.#asked.has(schemaId);
  }

  /** Nothing is waited for any more. */
  forgetAsked(): void {
    this.#asked.clear();
  }

  /** Takes note of what is asked for: whoever drives the worker loads it. */
  async load(schemaIds: Iterable<number>): Promise<void> {
    for (const schemaId of schemaIds) this.#asked.add(schemaId);
  }

  /** What no waiting mends is noticed where schemas are loaded. */
  assertSound(): void {}

  get asked(): readonly number[] {
    return [...this.#asked];
  }
}
