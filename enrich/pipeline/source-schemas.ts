import { sourceColumns } from '../../connectors/source-columns.ts';
import type { Contract } from '../../schemas/contract.ts';
import type { DimensionConfig } from '../config/pipeline-config.ts';
import { sourceChanges } from '../config/source-changes.ts';
import type { SourceChange } from '../config/source-changes.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { DimensionState, MetaWrite } from '../state/dimension-state.ts';

/** What becomes of the records of one schema; `why` names the schema and each difference, `remedy` what to do. */
export type SourceVerdict =
  { kind: 'take' } | { kind: 'pause' | 'reject' | 'fail'; why: string; remedy: string };

export const taken: SourceVerdict = { kind: 'take' };

type Place = { partition: number; offset: bigint };

type SourceSchema = {
  /** Columns in use that its rows have. */
  columns: readonly string[];
  changes: readonly SourceChange[];
};

/**
 * The schemas in which Debezium writes the rows of one dimension, held against its contract by the policy for changes
 * of the source.
 *
 * Rows that were written before a column was added lack it just as those do that were written after it was dropped, and
 * may do so under one schema id. So the lowest offset at which a partition had each column is kept in the state: a
 * record above it that lacks the column comes from after the drop, one below from before the column.
 */
export class SourceSchemas {
  readonly #dimension: DimensionConfig;
  readonly #contract: Contract;
  readonly #resolve: (schemaId: number) => object | undefined;
  readonly #state: Pick<DimensionState, 'getMeta'>;
  readonly #topicId: string;
  readonly #logger: Logger;
  readonly #metrics: Pick<Metrics, 'schemaChanges'>;
  readonly #known = new Map<number, { avroSchema: object; schema: SourceSchema | undefined }>();
  /** By partition and column, the lowest offset at which it is known to have been there. */
  readonly #firstSeen: Map<number, Map<string, bigint>>;
  /** There is more than the state has. */
  #hasGrown = false;
  /** Of each schema, the columns whose differences were told. */
  readonly #told = new Map<number, Set<string>>();

  constructor(options: {
    dimension: DimensionConfig;
    contract: Contract;
    topicId: string;
    resolve: (schemaId: number) => object | undefined;
    state: Pick<DimensionState, 'getMeta'>;
    logger: Logger;
    metrics: Pick<Metrics, 'schemaChanges'>;
  }) {
    this.#dimension = options.dimension;
    this.#contract = options.contract;
    this.#resolve = options.resolve;
    this.#state = options.state;
    this.#topicId = options.topicId;
    this.#logger = options.logger;
    this.#metrics = options.metrics;
    this.#firstSeen = parseSeen(this.#state.getMeta(this.#name));
  }

  /** For the first of a run of records with this schema in their values; undefined while that is not loaded. */
  verdict(schemaId: number, place: Place): SourceVerdict | undefined {
    const avroSchema = this.#resolve(schemaId);
    if (avroSchema === undefined) return undefined;
    const schema = this.#schemaOf(schemaId, avroSchema);
    // What is no row of a table is the decoder's to judge.
    if (schema === undefined) return taken;
    const changes = schema.changes.filter((change) => this.#counts(change, place));
    const verdict = this.#judge(schemaId, changes);
    if (verdict.kind === 'take') this.#see(schema.columns, place);
    if (changes.length > 0) this.#tell(schemaId, changes, verdict);
    return verdict;
  }

  /** What must enter the store with the position behind the records that were judged; nothing once it is there. */
  entries(): MetaWrite[] {
    if (!this.#hasGrown) return [];
    const value = new TextEncoder().encode(formatSeen(this.#firstSeen));
    const stored = this.#state.getMeta(this.#name);
    if (stored === undefined || Buffer.compare(stored, value) !== 0) {
      return [{ name: this.#name, value }];
    }
    this.#hasGrown = false;
    return [];
  }

  get #name(): string {
    return `columns/${this.#dimension.name}/${this.#topicId}`;
  }

  #schemaOf(schemaId: number, avroSchema: object): SourceSchema | undefined {
    const known = this.#known.get(schemaId);
    if (known?.avroSchema === avroSchema) return known.schema;
    const schema = this.#read(avroSchema);
    this.#known.set(schemaId, { avroSchema, schema });
    return schema;
  }

  #read(avroSchema: object): SourceSchema | undefined {
    const columns = sourceColumns(avroSchema);
    if (columns === undefined) return undefined;
    const { primaryKey, joinKey, columns: carried } = this.#dimension;
    const used = new Set([primaryKey, joinKey, ...carried]);
    return {
      columns: columns.map(({ name }) => name).filter((name) => used.has(name)),
      changes: sourceChanges({ dimension: this.#dimension, contract: this.#contract, columns }),
    };
  }

  #counts({ kind, isKey, column }: SourceChange, { partition, offset }: Place): boolean {
    if (kind !== 'drop-field' || isKey) return true;
    const seen = this.#firstSeen.get(partition)?.get(column);
    return seen !== undefined && seen < offset;
  }

  #see(columns: readonly string[], { partition, offset }: Place): void {
    const seen = this.#firstSeen.get(partition) ?? new Map<string, bigint>();
    this.#firstSeen.set(partition, seen);
    for (const column of columns) {
      const first = seen.get(column);
      if (first !== undefined && first <= offset) continue;
      seen.set(column, offset);
      this.#hasGrown = true;
    }
  }

  #judge(schemaId: number, changes: readonly SourceChange[]): SourceVerdict {
    const outcomes = new Set(changes.map((change) => this.#outcomeOf(change)));
    const kind = (['fail', 'pause', 'reject'] as const).find((one) => outcomes.has(one));
    if (kind === undefined) return taken;
    const what = changes.map((change) => differenceOf(change, this.#dimension.contract));
    return {
      kind,
      why: `schema ${schemaId} of ${this.#dimension.topic}: ${what.join('; ')}`,
      remedy: this.#remedyOf(changes),
    };
  }

  /**
   * A key is what a row is found by: without it, or in a form that the contract's holds no value of, no policy makes
   * sense of the row, and to take it would let clicks miss, or meet a row that is gone.
   */
  #outcomeOf({ kind, isKey }: SourceChange): SourceVerdict['kind'] {
    const { policy, allow } = this.#dimension.evolution;
    const isTaken = allow.has(kind) || policy === 'ignore' || policy === 'evolve';
    if (isTaken) return isKey ? 'pause' : 'take';
    return policy;
  }

  #remedyOf(changes: readonly SourceChange[]): string {
    const { name, contract } = this.#dimension;
    const isKey = changes.some((change) => change.isKey);
    const gone = changes.find(({ kind }) => kind === 'drop-field');
    return (
      `Bring ${contract}.avsc and dimension ${name} in pipeline.yaml in line with the table` +
      (gone === undefined ? '' : `: another name of ${gone.column} belongs in its "aliases"`) +
      (isKey ? '' : ', or set its evolution.policy to ignore') +
      ', and start the pipeline again'
    );
  }

  #tell(schemaId: number, changes: readonly SourceChange[], verdict: SourceVerdict): void {
    const told = this.#told.get(schemaId) ?? new Set();
    this.#told.set(schemaId, told);
    const untold = changes.filter(({ column }) => !told.has(column));
    if (untold.length === 0) return;
    for (const { column } of untold) told.add(column);
    const { name: dimension, topic, contract } = this.#dimension;
    const outcome = verdict.kind === 'take' ? 'ignore' : verdict.kind;
    for (const { kind } of untold) this.#metrics.schemaChanges.inc({ kind, outcome });
    this.#logger.warn(`the source has changed: ${outcomeText[verdict.kind]}`, {
      dimension,
      topic,
      schemaId,
      changes: untold.map((change) => differenceOf(change, contract)),
      ...(verdict.kind === 'take' ? {} : { remedy: verdict.remedy }),
    });
  }
}

const outcomeText: Readonly<Record<SourceVerdict['kind'], string>> = {
  take: 'a column that is gone is null in newer rows, and a change with a value that does not fit is a dead letter',
  pause: 'partitions with such changes wait, and clicks are joined to the rows as they were',
  reject: 'such changes are dead letters, and their rows stay as they were',
  fail: 'the pipeline stops',
};

function differenceOf(
  { column, isKey, contractType, sourceType }: SourceChange,
  contract: string,
): string {
  const what = `${isKey ? 'key' : 'column'} ${column}`;
  return sourceType === undefined
    ? `${what} is gone`
    : `${what} is ${sourceType} at the source and ${contractType} by contract ${contract}`;
}

type SeenJson = Record<string, Record<string, string>>;

function formatSeen(seen: ReadonlyMap<number, ReadonlyMap<string, bigint>>): string {
  const json: SeenJson = {};
  for (const [partition, columns] of seen) {
    json[partition] = Object.fromEntries([...columns].map(([name, at]) => [name, String(at)]));
  }
  return JSON.stringify(json);
}

function parseSeen(bytes: Uint8Array | undefined): Map<number, Map<string, bigint>> {
  if (bytes === undefined) return new Map();
  const json = JSON.parse(new TextDecoder().decode(bytes)) as SeenJson;
  return new Map(
    Object.entries(json).map(([partition, columns]) => [
      Number(partition),
      new Map(Object.entries(columns).map(([name, at]) => [name, BigInt(at)])),
    ]),
  );
}
