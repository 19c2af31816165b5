import { describe, expect, it } from 'vitest';
import type { DataFile } from '../../catalog/manifest/data-file.ts';
import { encodeSingleValue } from '../../catalog/spec/single-value.ts';
import type { TableMetadata } from '../../catalog/spec/table-metadata.ts';
import type { Report } from '../../verify/report.ts';
import { readTableFiles } from '../../verify/table-files.ts';
import { verifyFiles } from '../../verify/verify-files.ts';
import { benchOf, kindsOf } from './sound-table.ts';
import {
  headOf,
  manifestsOf,
  newestFiles,
  rewriteList,
  rewriteNewestManifest,
  withSnapshot,
  type Patient,
} from './surgery.ts';

async function openPatient(): Promise<Patient> {
  const bench = await benchOf();
  return { store: bench.store, metadata: (await bench.source()).events };
}

/** `now` is the metadata as it stands when the check reads it again. */
async function check(
  { store, metadata }: Patient,
  { now = metadata, pending = [] }: { now?: TableMetadata; pending?: readonly string[] } = {},
): Promise<Report> {
  return verifyFiles({
    table: 'events',
    metadata,
    store,
    listFiles: (of) => readTableFiles(store, of),
    reload: async () => now,
    pending,
  });
}

async function newestFile(patient: Patient) {
  const [file] = await newestFiles(patient);
  if (file === undefined) throw new Error('no file');
  return file;
}

/** Files of this day by their tuple, of day 1 by their bounds. */
const dated =
  (day: number) =>
  (files: readonly DataFile[]): readonly DataFile[] =>
    files.map((file) => ({
      ...file,
      partitionTuple: [day],
      lowerBounds: new Map([[3, encodeSingleValue('timestamptz', 86_400_000_000n)]]),
      upperBounds: new Map([[3, encodeSingleValue('timestamptz', 172_799_999_999n)]]),
    }));

describe('the files of a sound table', () => {
  it('have no faults, and are counted', async () => {
    const { findings, facts } = await check(await openPatient());
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ 'data files': 2, manifests: 2, snapshots: 2, 'orphan files': 0 });
  });

  it('may have orphans beside them: count, bytes and age are told (INVARIANTS.md 10)', async () => {
    const patient = await openPatient();
    const { location } = patient.metadata;
    await patient.store.put(`${location}/data/orphan.parquet`, new Uint8Array(7));
    await patient.store.put(`${location}/metadata/orphan-m0.avro`, new Uint8Array(5));
    await patient.store.put(`${location}/metadata/v7.metadata.json`, new Uint8Array(3));
    const { findings, facts } = await check(patient);
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({
      'orphan files': 2,
      'orphan bytes': 12,
      'oldest orphan': '1970-01-01T00:00:00.000Z',
    });
  });

  it('that a commit has decided on and the table does not list yet are no orphans', async () => {
    const patient = await openPatient();
    const location = `${patient.metadata.location}/data/pending.parquet`;
    await patient.store.put(location, new Uint8Array(7));
    expect((await check(patient, { pending: [location] })).facts['orphan files']).toBe(0);
  });

  it('of an older snapshot that a rewrite has left behind are no orphans', async () => {
    const patient = await openPatient();
    const rewritten = withSnapshot(patient.metadata, (one) => ({ ...one, summary: {} }));
    await rewriteList(patient, (manifests) => manifests.slice(0, 1));
    const { facts, findings } = await check({ ...patient, metadata: rewritten });
    expect(findings).toEqual([]);
    expect(facts).toMatchObject({ 'data files': 1, 'orphan files': 0 });
  });
});

describe('a fault of the data files is caught', () => {
  it('a file that is not there', async () => {
    const patient = await openPatient();
    const { location } = await newestFile(patient);
    await patient.store.delete(location);
    const report = await check(patient);
    expect(kindsOf(report)).toEqual({ 'missing data files': 1 });
    expect(report.findings[0]?.examples).toEqual([location]);
  });

  it('a file that was cut', async () => {
    const patient = await openPatient();
    const { location } = await newestFile(patient);
    const bytes = await patient.store.get(location);
    await patient.store.put(location, bytes.subarray(1));
    expect(kindsOf(await check(patient))).toEqual({ 'data files of another size': 1 });
  });

  it('a file that one manifest lists twice', async () => {
    const patient = await openPatient();
    await rewriteNewestManifest(patient, (files) => [...files, ...files]);
    expect(kindsOf(await check(patient))).toEqual({
      'files referenced twice': 1,
      'snapshot totals that differ': 2,
    });
  });

  it('a file that two manifests list, as after a rebase gone wrong', async () => {
    const patient = await openPatient();
    const [newest] = await manifestsOf(patient);
    if (newest === undefined) throw new Error('no manifest');
    const copy = { ...newest, location: `${newest.location}.copy` };
    await patient.store.put(copy.location, await patient.store.get(newest.location));
    await rewriteList(patient, (manifests) => [copy, ...manifests]);
    const report = await check(patient);
    expect(kindsOf(report)).toMatchObject({ 'files referenced twice': 1 });
    expect(report.findings[0]?.examples[0]).toContain(newest.location);
  });

  it('a partition value that is not what the bounds of the column give', async () => {
    const patient = await openPatient();
    const [spec] = patient.metadata.partitionSpecs;
    if (spec === undefined) throw new Error('no spec');
    const day = { sourceId: 3, fieldId: 1000, name: 'event_day', transform: 'day' };
    const partitionSpecs = [{ ...spec, fields: [day] }];
    const partitioned = { ...patient, metadata: { ...patient.metadata, partitionSpecs } };
    await rewriteNewestManifest(partitioned, dated(1));
    const kind = 'partition values that do not hold';
    // The older file has no tuple at all: only the newest is spoken of.
    const { location } = await newestFile(partitioned);
    const told = async (): Promise<readonly string[]> => {
      const { findings } = await check(partitioned);
      const examples = findings.find((finding) => finding.kind === kind)?.examples ?? [];
      return examples.filter((example) => example.startsWith(location));
    };
    expect(await told()).toEqual([]);
    await rewriteNewestManifest(partitioned, dated(2));
    expect(await told()).toEqual([`${location}: event_day is 2, but the file's bounds give 1`]);
  });

  it("the current snapshot's totals", async () => {
    const patient = await openPatient();
    const metadata = withSnapshot(patient.metadata, (one) => ({
      ...one,
      summary: { ...one.summary, 'total-records': '36' },
    }));
    const report = await check({ ...patient, metadata });
    expect(kindsOf(report)).toEqual({ 'snapshot totals that differ': 1 });
    expect(report.findings[0]?.examples[0]).toContain('total-records is 36, its manifests have 35');
  });
});

describe('a fault of manifests and their lists is caught, and the rest is still read', () => {
  it('a manifest list that is not there', async () => {
    const patient = await openPatient();
    await patient.store.delete(headOf(patient).manifestList);
    expect(kindsOf(await check(patient))).toMatchObject({ 'missing manifest lists': 1 });
  });

  it('a manifest list that is damaged', async () => {
    const patient = await openPatient();
    await patient.store.put(headOf(patient).manifestList, new Uint8Array(9));
    expect(kindsOf(await check(patient))).toMatchObject({ 'unreadable manifest lists': 1 });
  });

  it('a manifest that is not there', async () => {
    const patient = await openPatient();
    const [newest] = await manifestsOf(patient);
    await patient.store.delete(newest?.location ?? '');
    const report = await check(patient);
    expect(kindsOf(report)).toMatchObject({ 'missing manifests': 1 });
    expect(report.facts['data files']).toBe(1);
  });

  it('a manifest that is damaged', async () => {
    const patient = await openPatient();
    const [newest] = await manifestsOf(patient);
    const location = newest?.location ?? '';
    const bytes = await patient.store.get(location);
    await patient.store.put(location, bytes.fill(0, 0, 4));
    expect(kindsOf(await check(patient))).toMatchObject({ 'unreadable manifests': 1 });
  });

  it('a manifest of another length than its list says', async () => {
    const patient = await openPatient();
    await rewriteList(patient, ([newest, ...others]) =>
      newest === undefined ? others : [{ ...newest, lengthBytes: 1n }, ...others],
    );
    expect(kindsOf(await check(patient))).toEqual({ 'manifests of another size': 1 });
  });

  it('a manifest with other files and rows than its list says', async () => {
    const patient = await openPatient();
    await rewriteList(patient, ([newest, ...others]) =>
      newest === undefined ? others : [{ ...newest, addedRowsCount: 12n }, ...others],
    );
    const report = await check(patient);
    expect(kindsOf(report)).toEqual({ 'manifest counts that differ': 1 });
    expect(report.findings[0]?.examples[0]).toMatch(/with 11 and 0 rows, listed with .* 12 and 0/);
  });

  it('a manifest that is listed twice', async () => {
    const patient = await openPatient();
    await rewriteList(patient, (manifests) => [...manifests.slice(0, 1), ...manifests]);
    expect(kindsOf(await check(patient))).toMatchObject({
      'manifests listed twice': 1,
      'files referenced twice': 1,
    });
  });
});

describe('older snapshots', () => {
  it('lack a file: time travel to them fails', async () => {
    const patient = await openPatient();
    const [first] = patient.metadata.snapshots;
    await patient.store.delete(first?.manifestList ?? '');
    const report = await check(patient);
    expect(kindsOf(report)).toEqual({ 'files of older snapshots that are missing': 1 });
    expect(report.findings[0]?.examples[0]).toContain(String(first?.snapshotId));
  });

  it('lack a data file that a rewrite has left behind', async () => {
    const patient = await openPatient();
    const [, older] = await manifestsOf(patient);
    if (older === undefined) throw new Error('no manifest');
    const head = headOf(patient);
    const before = { ...patient, metadata: { ...patient.metadata } };
    before.metadata.currentSnapshotId = head.parentSnapshotId ?? 0n;
    const { location } = await newestFile(before);
    const metadata = withSnapshot(patient.metadata, (one) => ({ ...one, summary: {} }));
    await rewriteList(patient, (manifests) => manifests.slice(0, 1));
    await patient.store.delete(location);
    expect(kindsOf(await check({ ...patient, metadata }))).toEqual({
      'files of older snapshots that are missing': 1,
    });
  });

  it('that were expired while the check read them are not missed', async () => {
    const patient = await openPatient();
    const [first] = patient.metadata.snapshots;
    await patient.store.delete(first?.manifestList ?? '');
    const now = { ...patient.metadata, snapshots: patient.metadata.snapshots.slice(1) };
    expect((await check(patient, { now })).findings).toEqual([]);
  });
});
