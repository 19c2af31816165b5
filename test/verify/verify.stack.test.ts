import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '@iceberg-js/rest-client-shim/store/open-store.ts';
import { recordedCommits } from '../../verify/recorded.ts';
import { isSound, renderReport, type Report } from '../../verify/report.ts';
import { readTableFiles } from '../../verify/table-files.ts';
import { stopCleanly } from '../pipeline/command.ts';
import { openLake, type Lake } from '../pipeline/lake.ts';
import { factOf } from '../pipeline/prove.ts';
import { endpoints } from '../stack/endpoints.ts';

const { store, close } = openStore('s3://lake/', {
  s3: {
    region: 'us-east-1',
    endpoint: endpoints.s3Endpoint,
    pathStyle: true,
    accessKeyId: endpoints.s3AccessKeyId,
    secretAccessKey: endpoints.s3SecretAccessKey,
  },
});

let lake: Lake;
beforeAll(async () => {
  lake = await openLake('verify');
  const pipeline = await lake.startPipeline();
  await pipeline.ready();
  await lake.sendClicks('--count', '6000', '--rate', '2000', '--corrupt', '0.01');
  await lake.caughtUp();
  await stopCleanly(pipeline);
});
afterAll(async () => {
  close();
  await lake.close();
});

const faults = (reports: readonly Report[]): string[] =>
  reports.filter((report) => !isSound(report)).map(renderReport);

const kindsOf = (reports: readonly Report[]): string[] =>
  reports.flatMap(({ findings }) => findings.map(({ kind }) => kind));

/** The location and bytes of one live data file of the events table. */
async function someDataFile(): Promise<{ location: string; bytes: Uint8Array }> {
  const metadata = await lake.metadata();
  if (metadata === undefined) throw new Error('no table');
  const [file] = (await readTableFiles(store, metadata)).files;
  if (file === undefined) throw new Error('no data file');
  return { location: file.location, bytes: await store.get(file.location) };
}

describe('a table that the pipeline wrote', () => {
  it('is sound by every check, and the ledger has each commit', async () => {
    const { code, reports } = await lake.verify('--log', '--joins', '--ledger', lake.ledger);
    expect(faults(reports)).toEqual([]);
    expect(code).toBe(0);
    expect(factOf(reports, 'rows') + factOf(reports, 'rejects')).toBe(6_000);
    expect(factOf(reports, 'records compared')).toBe(6_000);
    expect(factOf(reports, 'rows checked against the range of their commit')).toBe(
      factOf(reports, 'rows'),
    );
    const ledgers = reports.flatMap(({ commits }) => (commits === undefined ? [] : [commits]));
    const [events = [], deadLetters = []] = ledgers;
    expect(events.length).toBeGreaterThan(1);
    const sum = (of: typeof events, what: 'rows' | 'rejects'): number =>
      of.reduce((total, { account }) => total + (account?.[what] ?? 0), 0);
    expect(sum(events, 'rows')).toBe(factOf(reports, 'rows'));
    expect(sum(events, 'rejects')).toBe(factOf(reports, 'rejects'));
    expect(sum(deadLetters, 'rows')).toBe(factOf(reports, 'rejects'));
    expect(Object.keys(events[0]?.account?.dimensions ?? {})).toEqual(['users', 'devices', 'urls']);
  });

  it('is told as rolled back once it is, and is sound again after the remedy', async () => {
    const metadata = await lake.metadata();
    const [first] = metadata === undefined ? [] : recordedCommits(metadata, lake.name);
    await lake.trino.query(
      `alter table ${lake.table} execute rollback_to_snapshot(${String(first?.snapshotId)})`,
    );
    const rolledBack = await lake.verify();
    expect(rolledBack.code).toBe(1);
    expect(kindsOf(rolledBack.reports)).toEqual(
      expect.arrayContaining(['tables that were rolled back', 'missing offsets']),
    );
    const pipeline = await lake.startPipeline({}, '--accept-rollback');
    await pipeline.ready();
    await lake.sendClicks('--count', '500', '--corrupt', '0.01');
    await lake.caughtUp();
    await stopCleanly(pipeline);
    const { code, reports } = await lake.verify('--log', '--ledger', lake.ledger);
    expect(faults(reports)).toEqual([]);
    expect(code).toBe(0);
    expect(factOf(reports, 'orphan files'), 'files of the commits rolled back are kept').toBe(0);
  });

  it('stays sound through optimize, optimize_manifests and expire_snapshots, which the ledger names', async () => {
    const table = `alter table ${lake.table} execute`;
    const position = await lake.position();
    await lake.trino.query(`${table} optimize`);
    await lake.trino.query(`${table} optimize_manifests`);
    const rewritten = await lake.verify('--log');
    expect(faults(rewritten.reports)).toEqual([]);
    const whats = rewritten.reports.flatMap(({ commits = [] }) => commits.map(({ what }) => what));
    expect(whats).toContain('rewrite of files');
    await lake.trino.query(
      `${table} expire_snapshots(retention_threshold => '0s', retain_last => 1)`,
    );
    const { code, reports } = await lake.verify('--log');
    expect(faults(reports)).toEqual([]);
    expect(code).toBe(0);
    expect(await lake.position()).toEqual(position);
    expect(reports.flatMap(({ notes }) => notes)).toContain(
      `all snapshots of ${lake.name} have expired: checked against the table property alone`,
    );
  });
});

describe('a table that was damaged in the object store', () => {
  it('a file that is gone, or cut, is a violation, and exit code 1', async () => {
    const { location, bytes } = await someDataFile();
    try {
      await store.delete(location);
      const gone = await lake.verify();
      expect(gone.code).toBe(1);
      expect(kindsOf(gone.reports)).toEqual(
        expect.arrayContaining(['missing data files', 'missing offsets']),
      );
      await store.put(location, bytes.subarray(0, bytes.length - 100));
      const cut = await lake.verify();
      expect(cut.code).toBe(1);
      expect(kindsOf(cut.reports)).toEqual(
        expect.arrayContaining(['data files of another size', 'unreadable data files']),
      );
    } finally {
      await store.put(location, bytes);
    }
    expect((await lake.verify()).code).toBe(0);
  });
});

describe('what cannot be reached', () => {
  it.each([
    ['Kafka', { KAFKA_BROKERS: '127.0.0.1:1' }],
    ['the object store', { S3_ENDPOINT: 'http://127.0.0.1:1' }],
    ['the catalog', { CATALOG_URI: 'http://127.0.0.1:1' }],
  ])('%s is 78, with its address and what to do', async (_what, environment) => {
    const { code, stdout, output } = await lake.run(['verify', '--json'], environment);
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(output).toContain('127.0.0.1:1');
    expect(output).toContain('run verify again');
  });
});
