import { ancestors } from '@iceberg-js/rest-client-shim/spec/snapshot-walk.ts';
import type { TableMetadata } from '@iceberg-js/rest-client-shim/spec/table-metadata.ts';
import type { Kind, Round } from '../round.ts';

/** Statements on the events table, over and over, while clicks flow and one process is replaced by another. */
function maintenance(
  name: string,
  does: string,
  statements: (table: string) => readonly string[],
): Kind {
  return {
    name,
    does,
    promise: 'whichever commit is later starts again from the newest metadata',
    needs: ['trino'],
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      const run = async (): Promise<void> => {
        for (const table of [round.names.events, round.names.deadLetter]) {
          for (const statement of statements(table)) await attempt(round, statement);
        }
      };
      for (let turn = 0; turn < 3; turn += 1) await run();
      await pipeline.stop('SIGKILL');
      await run();
      await round.start();
      await run();
    },
  };
}

/** A statement that loses its race against a commit is told so by Trino, and comes again. */
async function attempt(round: Round, statement: string): Promise<void> {
  round.say(statement);
  try {
    await round.trino.query(statement);
  } catch (error) {
    const isRace = /COMMIT_ERROR|failed to commit|conflict/i.test(String(error));
    if (!isRace) throw error;
  }
}

const optimize = (table: string): string => `alter table ${table} execute optimize`;
const optimizeManifests = (table: string): string =>
  `alter table ${table} execute optimize_manifests`;
const expire = (table: string): string =>
  `alter table ${table} execute expire_snapshots(retention_threshold => '0s', retain_last => 1)`;

/** Sets `main` back by a number of snapshots, as Trino's rollback_to_snapshot does. */
async function rollBack(round: Round, by: number): Promise<void> {
  const metadata = await mustLoad(round);
  const target = [...ancestors(metadata)][by];
  if (target === undefined) throw new Error(`the table has no ${by} snapshots`);
  await round.catalog
    .prepareCommit({
      identifier: { namespace: ['lake'], name: round.names.events },
      requirements: [{ type: 'assert-table-uuid', uuid: metadata.tableUuid }],
      updates: [
        {
          action: 'set-snapshot-ref',
          refName: 'main',
          ref: { snapshotId: target.snapshotId, type: 'branch' },
        },
      ],
    })
    .send();
}

async function mustLoad(round: Round): Promise<TableMetadata> {
  const metadata = await round.metadata();
  if (metadata === undefined) throw new Error('the table does not exist');
  return metadata;
}

/** A table of the same columns and layout under the same name, and no rows. */
async function recreate(round: Round): Promise<void> {
  const metadata = await mustLoad(round);
  const identifier = { namespace: ['lake'], name: round.names.events };
  const schema = metadata.schemas.find((one) => one.schemaId === metadata.currentSchemaId);
  const partitionSpec = metadata.partitionSpecs[0];
  const sortOrder = metadata.sortOrders[0];
  if (schema === undefined || partitionSpec === undefined || sortOrder === undefined) {
    throw new Error('the table has no current schema');
  }
  await round.catalog.dropTable(identifier);
  await round.catalog.createTable({
    identifier,
    schema,
    partitionSpec,
    sortOrder,
    properties: { 'format-version': '2' },
  });
}

const kinds: readonly Kind[] = [
  maintenance('trino-optimize', 'optimize in a loop under load', (table) => [optimize(table)]),
  maintenance('trino-expire', 'expire_snapshots in a loop, the last one kept', (table) => [
    expire(table),
  ]),
  maintenance('trino-optimize-manifests', 'optimize_manifests in a loop under load', (table) => [
    optimizeManifests(table),
  ]),
  maintenance('trino-all', 'all three in a loop, and a kill -9 in between', (table) => [
    optimize(table),
    optimizeManifests(table),
    expire(table),
  ]),
  {
    name: 'table-rolled-back',
    does: 'main is set back to an earlier snapshot while the pipeline runs',
    promise:
      'it stops with 78 and says how to go on; --accept-rollback writes what was taken away again',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.nextCommit();
      await round.nextCommit();
      await rollBack(round, 1 + round.random.below(2));
      await round.mustStop(pipeline, { code: 78, says: /--accept-rollback/ });
      const plain = await round.start();
      await round.mustStop(plain, { code: 78, says: /the table was rolled back/ });
      await round.start({ flags: ['--accept-rollback'] });
    },
  },
  {
    name: 'table-rolled-back-while-away',
    does: 'main is set back while no pipeline runs, after a kill -9',
    promise:
      'it does not start, says how to go on; --accept-rollback writes what was taken away again',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.nextCommit();
      await round.nextCommit();
      await pipeline.stop('SIGKILL');
      await rollBack(round, 1 + round.random.below(2));
      const plain = await round.start();
      await round.mustStop(plain, { code: 78, says: /the table was rolled back/ });
      await round.start({ flags: ['--accept-rollback'] });
    },
  },
  {
    name: 'table-dropped',
    does: 'the events table is dropped while the pipeline runs',
    promise:
      'it stops with 78 and says how to go on; started again it writes the whole log to a new table',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.nextCommit();
      await round.catalog.dropTable({ namespace: ['lake'], name: round.names.events });
      await round.mustStop(pipeline, {
        code: 78,
        says: /start it again to write to the new table/,
      });
    },
  },
  {
    name: 'table-recreated',
    does: 'the events table is dropped and another one made under its name while the pipeline runs',
    promise:
      'it stops with 78 and says how to go on; started again it writes the whole log to the new table',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.nextCommit();
      await recreate(round);
      await round.mustStop(pipeline, {
        code: 78,
        says: /start it again to write to the new table/,
      });
    },
  },
];

export default kinds;
