import { Client } from 'pg';
import type { Client as PgClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSource } from '../../connectors/check-source.ts';
import { withSource } from '../../connectors/source-client.ts';
import { endpoints } from '../stack/endpoints.ts';
import { connectorsConfig } from './connectors-sample.ts';

const base = connectorsConfig({ password: 'cdc' });
const port = endpoints.postgresPort;
const config = { ...base, database: { ...base.database, port } };
const table = `public.source_client_${process.pid}`;
const defaults = `${table}_defaults`;
const publication = `source_client_${process.pid}`;
const apicurio = { ...base.converter, kind: 'apicurio' as const };
const superuser = { user: 'postgres', password: 'postgres' };
const database = new Client({ host: '127.0.0.1', port, database: 'app', ...superuser });

/** Cuts a client's connection, and waits until it has heard of that. */
async function cut(client: PgClient): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const ended = new Promise((resolve) => void client.once('end', () => resolve(undefined)));
  await database.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
  await ended;
}

beforeAll(async () => {
  await database.connect();
  await database.query(`create table ${table} (id bigint primary key)`);
  await database.query(`
    create table ${defaults} (id bigserial primary key, a text default 'x', b text not null default 'x', c text);
    create publication ${publication} for table ${defaults};
    grant select on ${defaults} to cdc`);
});

afterAll(async () => {
  await database.query(`drop publication ${publication}; drop table ${table}, ${defaults}`);
  await database.end();
});

describe('a connection to the source', () => {
  it('that is lost between two queries is one to try again', async () => {
    const failure = withSource(config, async (client) => {
      await cut(client);
      await client.query('select 1');
    });
    await expect(failure).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('that is lost in a query is one to try again', async () => {
    const failure = withSource(config, async (client) => {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      const sleeping = client.query('select pg_sleep(60)');
      await Promise.all([
        sleeping,
        database.query('select pg_terminate_backend($1)', [rows[0]?.pid]),
      ]);
    });
    await expect(failure).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('that is lost once all is known does no harm', async () => {
    const pending = withSource(config, async (client) => {
      await cut(client);
      return 'known';
    });
    expect(await pending).toBe('known');
  });

  it('whose role lacks a right names the role and what it lacks', async () => {
    const failure = withSource(config, (client) => client.query(`select from ${table}`));
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(/permission denied for table .* grant that to cdc/);
  });

  it('that is asked for something that is not there says what', async () => {
    const failure = withSource(config, (client) => client.query(`select from ${table}_missing`));
    await expect(failure).rejects.toMatchObject({ kind: 'config' });
    await expect(failure).rejects.toThrow(`_missing" does not exist`);
  });
});

describe('a look at the source', () => {
  const given = {
    ...config,
    database: { ...config.database, publication },
    tables: [defaults],
  };

  it('warns of nulls for which the converter would write a default', async () => {
    const check = await checkSource({ ...given, converter: apicurio });
    expect(check).toMatchObject({
      kind: 'ready',
      warnings: [expect.stringContaining(`alter table ${defaults} alter column a drop default`)],
    });
  });

  it('has nothing to warn of where the converter writes null', async () => {
    expect(await checkSource(given)).toEqual({ kind: 'ready', warnings: [] });
  });
});
