import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { AvroObject, Contract } from '../../schemas/contract.ts';
import { fieldPaths } from '../../schemas/field-paths.ts';
import { partlyGrown } from '../../schemas/partly-grown.ts';
import type { DecodeFailure } from '../../schemas/row-buffer.ts';
import type { ContractSet } from '../config/check-contracts.ts';
import type { PipelineConfig } from '../config/pipeline-config.ts';
import { changeTexts } from '../core/judge-schema.ts';
import type { SchemaVerdict } from '../core/judge-schema.ts';
import { EnrichError } from '../error.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Lesson } from '../worker/click-worker.ts';
import { judgeWriters } from './judge-writer.ts';
import type { PipelineStatus } from './pipeline-status.ts';
import { planTable, refusedPath } from './plan-table.ts';
import type { TablePlan } from './plan-table.ts';
import { refusalTexts, unfit } from './tables.ts';
import type { TableHandle } from './tables.ts';

type EvolutionContext = {
  config: PipelineConfig;
  contracts: ContractSet;
  /** The events table. */
  table: Pick<TableHandle, 'identifier' | 'metadata'>;
  logger: Logger;
  metrics: Metrics;
  status: Pick<PipelineStatus, 'note' | 'withdraw'>;
};

/**
 * How the contract of the stream grows while the pipeline runs. Each schema that records are met of is judged once, one
 * after the other, by the policy of pipeline.yaml; what is followed makes the contract larger and never smaller. A schema
 * goes on being read as it was judged: a field that it was read without is skipped also once another schema brings a column
 * of that name. The table follows in the commit that first carries rows of such a schema: a record that cannot be decoded
 * changes nothing.
 */
export class StreamEvolution {
  readonly #context: EvolutionContext;
  #contract: Contract;
  readonly #verdicts = new WeakMap<AvroObject, SchemaVerdict>();
  /** By schema id, where rows of it need other columns than those of the start: the paths of what differs. */
  readonly #carries = new Map<number, ReadonlySet<string>>();
  readonly #paused = new Map<number, string>();
  /** Why columns were left out, as far as that is told. */
  readonly #leftOut = new Set<string>();
  /** The last plan, and what it was made of. */
  #plan: { key: string; contract: Contract; plan: TablePlan } | undefined;

  constructor(context: EvolutionContext) {
    this.#context = context;
    this.#contract = context.contracts.stream;
  }

  /**
   * What a worker is to be told of these schemas; those that wait for a decision of the user are left out. Nobody is
   * told of them, and nothing stops, before a partition stands at their records, of which `missing` has the ids: what lies
   * before is taken first. Errors: `schema-change` where the policy is to stop.
   */
  lessonOf(
    avroSchemas: ReadonlyMap<number, AvroObject | 'unknown'>,
    missing: ReadonlySet<number>,
  ): Lesson {
    const told = new Map<number, AvroObject | 'unknown'>();
    const refused = new Map<number, DecodeFailure>();
    for (const [schemaId, avroSchema] of avroSchemas) {
      if (avroSchema === 'unknown') {
        told.set(schemaId, 'unknown');
        continue;
      }
      const verdict = this.#judge(schemaId, avroSchema);
      if (verdict.kind === 'read') {
        told.set(schemaId, verdict.pinned);
        continue;
      }
      if (verdict.kind === 'unreadable') {
        told.set(schemaId, avroSchema);
        refused.set(schemaId, verdict.failure);
        continue;
      }
      const changes = changeTexts(verdict.changes).join('; ');
      if (verdict.kind === 'reject') {
        told.set(schemaId, avroSchema);
        refused.set(schemaId, { kind: 'schema-change', message: changes });
        continue;
      }
      if (!missing.has(schemaId)) continue;
      if (verdict.kind === 'fail') throw this.#failure(schemaId, changes);
      this.#pause(schemaId, changes);
    }
    return { contract: this.#contract, avroSchemas: told, refused };
  }

  /** Other partitions are read from here on: what stands still is seen when it is met again. */
  forgetPauses(): void {
    for (const what of this.#paused.values()) this.#context.status.withdraw(what);
    this.#paused.clear();
    this.#context.metrics.schemasPaused.set(0);
  }

  /**
   * How rows of these schemas are written to the table as it is. Errors: `config` where it does not take what the contract
   * had from the start; what has come since, be it a column or within one, and the table does not take is left out.
   */
  plan(schemaIds: ReadonlySet<number>, metadata: TableMetadata): TablePlan {
    const { config, contracts, table } = this.#context;
    const paths = new Set([...schemaIds].flatMap((id) => [...(this.#carries.get(id) ?? [])]));
    const { currentSchemaId, lastColumnId, schemas } = metadata;
    const key = [currentSchemaId, lastColumnId, schemas.length, ...paths].join(' ');
    const contract = this.#contract;
    if (this.#plan?.key === key && this.#plan.contract === contract) return this.#plan.plan;
    const stream = partlyGrown(contracts.stream, contract, paths);
    const plan = planTable({ config, stream, dimensions: contracts.dimensions, metadata });
    const brought = fieldPaths(stream).difference(fieldPaths(contracts.stream));
    const fatal = plan.refused.filter((refusal) => !brought.has(refusedPath(refusal)));
    const reasons = refusalTexts(table.identifier, plan.refused);
    if (fatal.length > 0) throw unfit(table.identifier, reasons);
    this.#tellLeftOut(reasons.filter((reason) => !this.#leftOut.has(reason)));
    this.#plan = { key, contract, plan };
    return plan;
  }

  #judge(schemaId: number, avroSchema: AvroObject): SchemaVerdict {
    const before = this.#verdicts.get(avroSchema);
    if (before !== undefined) return before;
    const { config, contracts, table } = this.#context;
    const judge = judgeWriters({ config, contracts, metadata: table.metadata });
    const verdict = judge(contracts.stream, this.#contract, avroSchema);
    this.#verdicts.set(avroSchema, verdict);
    if (verdict.kind === 'read') {
      this.#contract = verdict.contract;
      if (verdict.carries.size > 0) this.#carries.set(schemaId, verdict.carries);
    }
    if (verdict.kind !== 'unreadable') this.#tell(schemaId, verdict);
    return verdict;
  }

  #tell(schemaId: number, verdict: Exclude<SchemaVerdict, { kind: 'unreadable' }>): void {
    const { logger, metrics, config } = this.#context;
    const { topic, evolution } = config.stream;
    const count = (outcome: string, changes: readonly { kind: string }[]): void => {
      for (const { kind } of changes) metrics.schemaChanges.inc({ kind, outcome });
    };
    if (verdict.kind !== 'read') {
      count(verdict.kind, verdict.changes);
      const changes = changeTexts(verdict.changes);
      logger.warn(`records of another schema: ${verdict.kind}`, { topic, schemaId, changes });
      return;
    }
    const { followed, ignored } = verdict;
    count('follow', followed);
    count('ignore', ignored);
    if (followed.length + ignored.length === 0) return;
    // A field that is skipped is what was asked for, unless it is allowed; all else loses values or records.
    const isTrouble = ignored.some(({ kind }) => kind !== 'add-field' || evolution.allow.has(kind));
    logger[isTrouble ? 'warn' : 'info']('records of another schema', {
      topic,
      schemaId,
      followed: changeTexts(followed),
      ignored: changeTexts(ignored),
    });
  }

  #tellLeftOut(reasons: readonly string[]): void {
    if (reasons.length === 0) return;
    for (const reason of reasons) this.#leftOut.add(reason);
    const message = 'the table does not take what records bring: it is left out';
    this.#context.logger.warn(message, { reasons });
  }

  #pause(schemaId: number, changes: string): void {
    const { config, status, metrics } = this.#context;
    const what = `schema ${schemaId} of topic ${config.stream.topic}`;
    this.#paused.set(schemaId, what);
    metrics.schemasPaused.set(this.#paused.size);
    status.note(what, `paused at ${what}: ${changes}. ${REMEDY}`);
  }

  #failure(schemaId: number, changes: string): EnrichError {
    const { topic, contract } = this.#context.config.stream;
    return new EnrichError(
      'schema-change',
      `schema ${schemaId} of topic ${topic} differs from contract ${contract}: ${changes}. ${REMEDY}`,
      { context: { topic, schemaId } },
    );
  }
}

const REMEDY =
  'Change the contract, or allow the change under stream.evolution in pipeline.yaml, and start the pipeline again';
