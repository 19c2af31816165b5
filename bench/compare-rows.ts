import { openCatalog, openTableStore } from '../cli/open-lake.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import type { Click } from '../generate/clicks.ts';
import { contractFields } from '../schemas/contract-field.ts';
import type { Contract } from '../schemas/contract.ts';
import { loadContract } from '../schemas/load-contracts.ts';
import { normaliserOf } from '../verify/normal-form.ts';
import { bigintAt, numberAt, type Cell, type RowBlock } from '../verify/table-rows.ts';
import { currentSchema } from '../verify/scan-rows.ts';
import { openTableReader } from '../verify/table-reader.ts';
import type { ExpectedRow, TableName } from './data/expected-join.ts';

type Place = { partition: number; offset: bigint };

/** What should be in the table, by place in the stream topic. */
export type Expectation = {
  /** How many rows there are. */
  count: number;
  /** A number from 0 below `count` for each click; outside for a place that has none. */
  indexOf: (place: Place) => number;
  click: (index: number) => Click;
  /** The row of a dimension for a key in normal form, as the click at this place had to see it. */
  joined: (table: TableName, key: string, place: Place) => ExpectedRow;
};

export type Comparison = {
  rows: number;
  /** Of which distinct clicks. */
  distinct: number;
  missing: number;
  wrong: number;
  /** The first of them, in words. */
  examples: string[];
  /** Clicks whose key no row has, by dimension: the same for every system that joins them. */
  misses: Record<string, number>;
  isRight: boolean;
};

const EXAMPLES_MAX = 5;
const CONTRACTS = 'schemas';
const PLACE_COLUMNS = ['_kafka_partition', '_kafka_offset'];
/** Nothing that was sent tells when a row was taken in. */
const LEFT_OUT = ['_ingested_at'];

/** What of a configuration decides the columns, and the contract of its stream. */
type ComparedTable = {
  config: Pick<PipelineConfig, 'dimensions' | 'stream'>;
  contract: Contract;
  /** False for a table of another system, which has no match columns. */
  statuses: boolean;
};

/**
 * Compares every row of a run's table with what the generator made and what the join had to give: all columns but
 * `_ingested_at`. Errors: a `RangeError` for a column of the table that nothing here knows.
 */
export async function compareRows(options: {
  config: PipelineConfig;
  expectation: Expectation;
  statuses: boolean;
}): Promise<Comparison> {
  const { config } = options;
  const { namespace, name } = config.table;
  const loaded = await (await openCatalog(config)).loadTable({ namespace, name });
  if (loaded === undefined) throw new RangeError(`there is no table ${name}`);
  const { metadata } = loaded;
  const compared = { ...options, contract: await loadContract(CONTRACTS, config.stream.contract) };
  const columns = comparedColumns(compared);
  assertAllCompared(
    currentSchema(metadata).fields.map((field) => field.name),
    columns,
  );
  const { store, close } = openTableStore(config, metadata.location);
  try {
    const blocks = openTableReader(store).readRows(metadata, columns);
    return await compareBlocks({ ...compared, blocks });
  } finally {
    close();
  }
}

/** What of a table is looked at. */
export function comparedColumns({ config, contract, statuses }: ComparedTable): string[] {
  const stream = contractFields(contract).map(({ name }) => name);
  const columns = new Set([...PLACE_COLUMNS, ...stream]);
  for (const { name, prefix, columns: carried } of config.dimensions) {
    for (const column of carried) columns.add(prefix + column);
    if (statuses) columns.add(statusOf(name));
  }
  return [...columns];
}

/** Throws where a table has a column that is neither compared nor left out on purpose. */
export function assertAllCompared(ofTable: readonly string[], compared: readonly string[]): void {
  const known = new Set([...compared, ...LEFT_OUT]);
  const unknown = ofTable.filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new RangeError(`nothing tells what column ${unknown.join(', ')} of the table should hold`);
}

function statusOf(dimension: string): string {
  return `_${dimension}_match`;
}

/** The same for rows that come from anywhere, with the columns of `comparedColumns`. */
export async function compareBlocks(
  options: ComparedTable & {
    blocks: AsyncIterable<RowBlock> | Iterable<RowBlock>;
    expectation: Expectation;
  },
): Promise<Comparison> {
  const { blocks, config, contract, expectation, statuses } = options;
  const dimensions = config.dimensions.map((dimension) => ({
    name: dimension.name as TableName,
    streamField: dimension.streamField as 'user_id' | 'device_id' | 'url',
    normalise: normaliserOf(dimension.normaliser),
    columns: dimension.columns,
    cells: dimension.columns.map((column) => dimension.prefix + column),
    status: statuses ? statusOf(dimension.name) : undefined,
  }));
  const tally = openTally(expectation.count);
  const { eventTime } = config.stream;
  const fields = contractFields(contract)
    .map(({ name }) => name as keyof Click)
    .filter((name) => name !== eventTime);
  const compared = { dimensions, fields, expectation, tally };
  for await (const block of blocks) compareBlock(block, compared);
  return tally.comparison();
}

type ComparedDimension = {
  name: TableName;
  streamField: 'user_id' | 'device_id' | 'url';
  normalise: (text: string) => string;
  columns: readonly string[];
  cells: readonly string[];
  status: string | undefined;
};

type Tally = ReturnType<typeof openTally>;

function openTally(count: number) {
  const seen = new Uint8Array(count);
  const misses: Record<string, number> = {};
  const examples: string[] = [];
  let [rows, distinct, wrong] = [0, 0, 0];
  return {
    /** False for a row that is there twice, or should not be. */
    row(index: number): boolean {
      rows += 1;
      if (seen[index] !== 0) return false;
      seen[index] = 1;
      distinct += 1;
      return true;
    },
    miss(table: TableName): void {
      misses[table] = (misses[table] ?? 0) + 1;
    },
    wrong(example: () => string): void {
      wrong += 1;
      if (examples.length < EXAMPLES_MAX) examples.push(example());
    },
    comparison(): Comparison {
      const missing = count - distinct;
      const isRight = missing === 0 && wrong === 0 && rows === distinct;
      return { rows, distinct, missing, wrong, examples, misses, isRight };
    },
  };
}

function compareBlock(
  block: RowBlock,
  options: {
    dimensions: readonly ComparedDimension[];
    /** Of the click, but for its event time, which the table has in microseconds. */
    fields: readonly (keyof Click)[];
    expectation: Expectation;
    tally: Tally;
  },
): void {
  const { dimensions, expectation, tally } = options;
  const [partitions, offsets] = [block.column('_kafka_partition'), block.column('_kafka_offset')];
  const eventTimes = block.column('event_time');
  const fields = options.fields.map((name) => ({ name, cells: block.column(name) }));
  const joins = dimensions.map((dimension) => ({
    dimension,
    statuses: dimension.status === undefined ? undefined : block.column(dimension.status),
    columns: dimension.cells.map((name) => block.column(name)),
  }));
  for (let row = 0; row < block.rowCount; row += 1) {
    const place = { partition: numberAt(partitions, row), offset: bigintAt(offsets, row) };
    const at = (what: string) => (): string =>
      `partition ${place.partition}, offset ${place.offset}: ${what}`;
    const index = expectation.indexOf(place);
    if (!tally.row(index)) {
      tally.wrong(at('a row that is there already, or that nobody sent'));
      continue;
    }
    const click = expectation.click(index);
    if (BigInt(click.event_time) * 1000n !== bigintAt(eventTimes, row)) {
      tally.wrong(at(`event_time is ${String(eventTimes[row])}`));
    }
    for (const { name, cells } of fields) {
      if (isSame(cells[row], click[name])) continue;
      tally.wrong(at(`${name} is ${String(cells[row])}, sent as ${String(click[name])}`));
    }
    for (const { dimension, statuses, columns } of joins) {
      const { name, streamField, normalise } = dimension;
      const expected = expectation.joined(name, normalise(String(click[streamField])), place);
      if (expected === undefined) tally.miss(name);
      const difference = differenceOf(dimension, expected, {
        status: statuses?.[row],
        values: columns.map((cells) => cells[row]),
      });
      if (difference !== undefined) tally.wrong(at(difference));
    }
  }
}

function differenceOf(
  { columns, status }: ComparedDimension,
  expected: ExpectedRow,
  found: { status: Cell | undefined; values: readonly (Cell | undefined)[] },
): string | undefined {
  const wanted = expected === undefined ? 'miss' : 'hit';
  if (status !== undefined && found.status !== wanted) {
    return `${status} is ${String(found.status)}, expected ${wanted}`;
  }
  const i = columns.findIndex((column, k) => !isSame(found.values[k], expected?.[column] ?? null));
  if (i === -1) return undefined;
  const column = columns[i] ?? '';
  return `${column} is ${String(found.values[i])}, expected ${String(expected?.[column] ?? null)}`;
}

function isSame(cell: Cell | undefined, expected: string | number | null): boolean {
  if (cell === null || cell === undefined || expected === null) return cell === expected;
  return String(cell) === String(expected);
}
