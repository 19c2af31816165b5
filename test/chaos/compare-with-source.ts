import { joinAtSource, readJoined } from '../pipeline/source-join.ts';
import { until } from '../pipeline/command.ts';
import type { Pipeline } from '../pipeline/command.ts';
import type { Round } from './round.ts';

const clicks = 3_000;
const followMsMax = 120_000;

/**
 * Pauses the load, waits until all that is committed in PostgreSQL has reached the running pipelines, sends clicks
 * and compares each with what PostgreSQL itself joins to it: an error where one differs. The load stays paused.
 */
export async function compareWithSource(round: Round): Promise<void> {
  round.say('compares with the source');
  await round.load.pause();
  await followed(round);
  for (const pipeline of round.pipelines()) await dimensionsRead(pipeline);
  const ends = await round.admin.fetchTopicOffsets(round.names.topic);
  const from = new Map(ends.map(({ partition, high }) => [partition, BigInt(high)]));
  await round.load.send(clicks);
  await round.caughtUp();
  const lake = {
    database: await round.database(),
    ledger: round.ledger(),
    trino: round.trino,
    table: round.names.events,
  };
  const wanted = await joinAtSource(lake, from);
  const found = await readJoined(lake, from);
  const wrong = [...wanted].filter(
    ([place, values]) => JSON.stringify(values) !== JSON.stringify(found.get(place)),
  );
  if (wrong.length === 0 && found.size === wanted.size && wanted.size > clicks / 2) return;
  const [place, values] = wrong[0] ?? [];
  throw new Error(
    `${wrong.length} of ${wanted.size} rows (${found.size} in the table) differ from the source, first ${place}: ` +
      `expected ${JSON.stringify(values)}, got ${JSON.stringify(found.get(place ?? ''))}`,
  );
}

/** Waits until Debezium has brought every change that is committed by now to Kafka. */
async function followed(round: Round): Promise<void> {
  const database = await round.database();
  const { rows } = await database.query<{ lsn: string }>('select pg_current_wal_lsn() as lsn');
  await until(
    "Debezium has confirmed the source's changes",
    async () => {
      const slot = await database.query<{ done: boolean }>(
        `select confirmed_flush_lsn >= $1::pg_lsn as done from pg_replication_slots
         where slot_name = 'tributary_slot'`,
        [rows[0]?.lsn],
      );
      return slot.rows[0]?.done === true;
    },
    followMsMax,
  );
}

/** Waits until the pipeline has read the topics of all dimensions, twice in a row. */
async function dimensionsRead(pipeline: Pipeline): Promise<void> {
  await pipeline.ready();
  let quiet = 0;
  await until('the dimensions are read', async () => {
    const lags = await Promise.all(
      ['users', 'devices', 'urls'].map((dimension) =>
        pipeline.metric(`tributary_dimension_lag_records{dimension="${dimension}"}`),
      ),
    );
    quiet = lags.every((lag) => lag === 0) ? quiet + 1 : 0;
    return quiet > 3;
  });
}
