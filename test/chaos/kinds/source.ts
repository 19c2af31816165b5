import { join } from 'node:path';
import { Client } from 'pg';
import { compareWithSource } from '../compare-with-source.ts';
import type { Kind, Round } from '../round.ts';
import { sourceAddress } from '../source.ts';

const slot = 'tributary_slot';
const needs = ['postgres', 'connect', 'trino'] as const;

async function asSuperuser(work: (client: Client) => Promise<void>): Promise<void> {
  const { host, port, database } = sourceAddress;
  const address = { host, port, database, user: 'postgres', password: 'postgres' };
  const client = new Client(address);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Rows of every kind of change that the lost slot will not tell of. */
async function changeInTheGap(round: Round): Promise<void> {
  const database = await round.database();
  await database.query(`
    update public.users set name = 'in the gap' where user_id % 3 = 0;
    delete from public.users where user_id % 7 = 0;
    delete from public.devices where length(device_id) % 2 = 0 and device_id < 'm';
    insert into public.users (user_id, name) select i, 'came in the gap' from generate_series(3, 300, 7) i
      on conflict (user_id) do nothing;
    update public.urls set title = 'in the gap' where url_id % 5 = 0`);
}

/** Any command of `connectors`, with the file that the round has applied. */
const connectors = (round: Round, ...words: string[]) =>
  round.run(['connectors', ...words, '--connectors', join(round.directory, 'connectors.yaml')]);

async function resnapshot(round: Round, ...words: string[]): Promise<void> {
  round.say(`resnapshot ${words.join(' ')}`);
  const finished = await connectors(round, 'resnapshot', ...words);
  if (finished.code !== 0)
    throw new Error(`resnapshot ended with ${finished.code}\n${finished.output}`);
}

/** `connectors status` must not call it well, and must name the way out. */
async function statusSays(round: Round, said: RegExp): Promise<void> {
  await round.until('connectors status says what is wrong', async () => {
    const finished = await connectors(round, 'status');
    return finished.code === 1 && said.test(finished.output);
  });
}

async function dropSlot(): Promise<void> {
  await asSuperuser(async (client) => {
    for (;;) {
      await client.query(
        'select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1',
        [slot],
      );
      try {
        await client.query('select pg_drop_replication_slot($1)', [slot]);
        return;
      } catch (error) {
        // Its reader is still on its way out.
        if ((error as { code?: unknown }).code !== '55006') throw error;
      }
    }
  });
}

const promise =
  'status names what to do; resnapshot --all brings the changes of the gap, without a restart';

const kinds: readonly Kind[] = [
  {
    name: 'slot-dropped-while-away',
    does: 'the replication slot is dropped while Connect is down, and rows change',
    promise,
    needs,
    dimensions: 'debezium',
    inject: async (round) => {
      await round.startCommitting();
      await round.stack.stop('connect');
      await dropSlot();
      await changeInTheGap(round);
      await round.stack.start('connect');
      await statusSays(round, /resnapshot --all/);
      await resnapshot(round, '--all');
      await compareWithSource(round);
    },
  },
  {
    name: 'slot-dropped-while-read',
    does: 'the replication slot is dropped under the running connector, and rows change',
    promise,
    needs,
    dimensions: 'debezium',
    inject: async (round) => {
      await round.startCommitting();
      await dropSlot();
      await changeInTheGap(round);
      await statusSays(round, /resnapshot --all/);
      await resnapshot(round, '--all');
      await compareWithSource(round);
    },
  },
  {
    name: 'slot-made-anew',
    does: 'the replication slot is dropped, rows change, and somebody makes another one under its name',
    promise: `the connector fails rather than pass over the gap; ${promise}`,
    needs,
    dimensions: 'debezium',
    inject: async (round) => {
      await round.startCommitting();
      await round.stack.stop('connect');
      await dropSlot();
      await changeInTheGap(round);
      await asSuperuser(async (client) => {
        await client.query('select pg_create_logical_replication_slot($1, $2)', [slot, 'pgoutput']);
      });
      await round.stack.start('connect');
      await statusSays(round, /resnapshot --all/);
      await resnapshot(round, '--all');
      await compareWithSource(round);
    },
  },
  {
    name: 'source-truncated',
    does: 'two source tables are truncated amid load, and some of their rows come back',
    promise:
      'resnapshot brings the state back to the source without a restart; a second run changes nothing',
    needs,
    dimensions: 'debezium',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      const database = await round.database();
      await database.query(`
        create temp table kept as select * from public.users where user_id % 2 = 0;
        truncate public.users, public.urls;
        insert into public.users select * from kept where user_id % 4 = 0;
        drop table kept`);
      await resnapshot(round, 'public.users', 'public.urls');
      await compareWithSource(round);
      await resnapshot(round, '--all');
      await compareWithSource(round);
      pipeline.mustBeAlive();
    },
  },
  {
    name: 'resnapshot-killed',
    does: 'kill -9 of connectors resnapshot at random moments, after a truncate',
    promise: 'running it again finishes the job',
    needs,
    dimensions: 'debezium',
    inject: async (round) => {
      await round.startCommitting();
      const database = await round.database();
      await database.query('truncate public.devices');
      const file = join(round.directory, 'connectors.yaml');
      for (let turn = 0; turn < 4; turn += 1) {
        const words = ['connectors', 'resnapshot', '--all', '--connectors', file];
        const command = round.startCommand(words);
        await round.sleep(2_000 + round.random.below(8_000));
        await command.stop('SIGKILL');
      }
      await resnapshot(round, '--all');
      await compareWithSource(round);
    },
  },
];

export default kinds;
