import { isDeepStrictEqual } from 'node:util';
import type { DataFileWriter } from '@iceberg-js/rest-client-shim/parquet/data-file-writer.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import type { Contract } from '../../schemas/contract.ts';
import { createCodecCache } from '../../schemas/codec-cache.ts';
import type { CodecCache } from '../../schemas/codec-cache.ts';
import { extendRows } from '../../schemas/extend-rows.ts';
import { createRowBuffer } from '../../schemas/row-buffer.ts';
import type { Clock } from '../clock.ts';
import { assertSameLog } from '../core/acceptance.ts';
import { batchBytes, clearClickBatch, createClickBatch, isEmpty } from '../core/click-batch.ts';
import type { ClickBatch } from '../core/click-batch.ts';
import { joinBatch } from '../core/join.ts';
import type { JoinResult, JoinTarget, TableColumn } from '../core/join.ts';
import { EnrichError } from '../error.ts';
import { batchRowsMax, ClickIntake } from './click-intake.ts';
import type { Log, LogReader, Position } from '../source/log.ts';
import { attachProjection } from '../state/hash-projection.ts';
import type {
  ClickWorker,
  Fill,
  JoinWish,
  Lesson,
  LogBounds,
  SealedBatch,
  WorkerSpec,
  WriteWish,
  WrittenBatch,
} from './click-worker.ts';
import { sealedAccount } from './sealed-account.ts';
import { ToldSchemas } from './told-schemas.ts';
import { writeBatch } from './write-batch.ts';

/** What a worker works with; all of it is its own. */
export type WorkerPorts = {
  log: Pick<Log, 'bounds' | 'describeTopic' | 'openReader'>;
  store: ObjectStore;
  writer: DataFileWriter;
  clock: Pick<Clock, 'elapsedMs'>;
};

/**
 * Opens a worker that does its work where it is called. Errors: those of the log by kind; `fenced` for another topic
 * or cluster than the one it was made for (INVARIANTS.md 9).
 */
export async function openClickWorker(spec: WorkerSpec, ports: WorkerPorts): Promise<ClickWorker> {
  const { identity } = spec;
  // From here on the log knows which topic is meant, whatever takes its name later.
  const found = await ports.log.describeTopic(identity.topic);
  if (found === undefined) {
    throw new EnrichError('unavailable', `topic ${identity.topic} is not there at the moment`);
  }
  assertSameLog(identity, found);
  return new LocalClickWorker(spec, ports, await ports.log.openReader());
}

class LocalClickWorker implements ClickWorker {
  readonly #spec: WorkerSpec;
  readonly #ports: WorkerPorts;
  readonly #reader: LogReader;
  readonly #schemas: ToldSchemas;
  readonly #intake: ClickIntake;
  #contract: Contract;
  #codecs: CodecCache;
  #filling: ClickBatch;
  #sealed: ClickBatch;
  /** Of the sealed batch; another one once that was given up. */
  #sealedId = 0;
  #joined: (JoinResult & { ingestedAtMs: number }) | undefined;
  /** The last of the calls that take turns, settled or not. */
  #last: Promise<unknown> = Promise.resolve();
  /** Such calls that have not ended. */
  #calls = 0;
  #closed = false;

  constructor(spec: WorkerSpec, ports: WorkerPorts, reader: LogReader) {
    const { contract, identity, limits } = spec;
    this.#spec = spec;
    this.#ports = ports;
    this.#reader = reader;
    this.#schemas = new ToldSchemas(ports.clock.elapsedMs);
    this.#contract = contract;
    this.#codecs = createCodecCache({ schemas: this.#schemas, contract });
    this.#intake = new ClickIntake({
      log: ports.log,
      reader,
      codecs: { decoder: (schemaId) => this.#codecs.decoder(schemaId) },
      schemas: this.#schemas,
      clock: ports.clock,
      topic: identity.topic,
      limits,
    });
    this.#filling = this.#createBatch();
    this.#sealed = this.#createBatch();
  }

  assign(position: Position, bounds: LogBounds): Promise<void> {
    return this.#inTurn(async () => {
      clearClickBatch(this.#filling);
      this.#schemas.forgetAsked();
      this.#intake.assign(position, bounds);
    });
  }

  take(waitMsMax: number): Promise<Fill> {
    return this.#inTurn(async () => {
      await this.#takeUntil(this.#ports.clock.elapsedMs() + waitMsMax);
      return this.#fill();
    });
  }

  learn({ contract, ...lesson }: Lesson): Promise<void> {
    return this.#inTurn(async () => {
      await this.#schemas.learn(lesson);
      if (isDeepStrictEqual(contract, this.#contract)) return;
      this.#contract = contract;
      this.#codecs = createCodecCache({ schemas: this.#schemas, contract });
      this.#extend(this.#filling);
    });
  }

  seal(): Promise<SealedBatch> {
    return this.#inTurn(async () => {
      const next = this.#sealed;
      clearClickBatch(next);
      this.#extend(next);
      this.#sealed = this.#filling;
      this.#filling = next;
      this.#joined = undefined;
      this.#sealedId += 1;
      return sealedAccount(this.#sealedId, this.#sealed);
    });
  }

  async join(wish: JoinWish): Promise<ReadonlyMap<string, number>> {
    this.#assertSealed(wish.id);
    const { carriedBytesMax } = this.#spec;
    const { ingestedAtMs } = wish;
    const target = joinTarget(this.#spec, wish);
    const joined = joinBatch(this.#sealed, target, ingestedAtMs, carriedBytesMax);
    this.#joined = { ...joined, ingestedAtMs };
    return joined.hits;
  }

  async write(wish: WriteWish): Promise<WrittenBatch> {
    this.#assertSealed(wish.id);
    const joined = this.#joined;
    if (joined === undefined) throw new Error('assert: a batch is joined before it is written');
    return writeBatch({
      wish,
      spec: this.#spec,
      columns: joined.batch,
      clicks: this.#sealed,
      ingestedAtMs: joined.ingestedAtMs,
      ...this.#ports,
    });
  }

  abandon(): Promise<void> {
    return this.#inTurn(async () => {
      this.#sealed = this.#createBatch();
      this.#joined = undefined;
      this.#sealedId += 1;
    });
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#reader.close();
  }

  /** Polls until there is news, the time is over, or another call waits. */
  async #takeUntil(untilMs: number): Promise<void> {
    const { elapsedMs } = this.#ports.clock;
    const intake = this.#intake;
    const batch = this.#filling;
    const wasOpen = !isEmpty(batch);
    const wasDue = intake.dueInMs(batch, elapsedMs()) === 0;
    const missingBefore = intake.awaited();
    for (let nowMs = elapsedMs(); !this.#closed && !intake.isFull(batch);) {
      await intake.poll(batch, { waitMsMax: Math.max(1, untilMs - nowMs), elapsedMs: nowMs });
      nowMs = elapsedMs();
      const isOpened = !wasOpen && !isEmpty(batch);
      const isDue = !wasDue && intake.dueInMs(batch, nowMs) === 0;
      const isMissing = !intake.awaited().isSubsetOf(missingBefore);
      if (this.#calls > 1 || isOpened || isDue || isMissing || nowMs >= untilMs) return;
    }
  }

  #fill(): Fill {
    const batch = this.#filling;
    const intake = this.#intake;
    const missing = intake.awaited();
    return {
      rows: batch.rows.rowCount,
      bytes: batchBytes(batch),
      isFull: intake.isFull(batch),
      dueInMs: intake.dueInMs(batch, this.#ports.clock.elapsedMs()),
      lag: intake.lag(),
      missing: [...missing],
      ahead: this.#schemas.asked.filter((id) => !missing.has(id)),
    };
  }

  /** Whoever goes on with a batch that was given up must not meet the memory of the next one. */
  #assertSealed(id: number): void {
    if (id === this.#sealedId) return;
    throw new Error(
      `assert: expected the sealed batch ${this.#sealedId}, got ${id}: it was given up`,
    );
  }

  #createBatch(): ClickBatch {
    const rowsMax = batchRowsMax(this.#spec.limits);
    return createClickBatch(createRowBuffer(this.#contract, rowsMax), rowsMax);
  }

  /** Columns for all that the contract has by now. */
  #extend({ rows }: ClickBatch): void {
    extendRows(rows, this.#contract, batchRowsMax(this.#spec.limits));
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    this.#calls += 1;
    const turn = before.then(work, work);
    this.#last = turn;
    try {
      return await turn;
    } finally {
      this.#calls -= 1;
    }
  }
}

/** Projections are attached to anew each time, which costs nothing: they may have been built anew. */
function joinTarget({ dimensions }: WorkerSpec, { columns, projections }: JoinWish): JoinTarget {
  const columnOf = (name: string): TableColumn => {
    const column = columns.get(name);
    if (column !== undefined) return column;
    throw new EnrichError('config', `the table has no column "${name}"`);
  };
  return {
    columns,
    dimensions: dimensions.map((dimension) => {
      const memory = projections.get(dimension.name);
      if (memory === undefined) {
        throw new Error(`assert: expected a projection of ${dimension.name}, got none`);
      }
      return {
        ...dimension,
        projection: attachProjection(memory),
        columns: dimension.columns.map(columnOf),
        matchFieldId: columnOf(dimension.matchColumn).id,
      };
    }),
  };
}
