import { describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { runCli } from './run-cli.ts';

vi.setConfig({ testTimeout: 60_000 });

type Property = { name: string } & Record<string, unknown>;
type Odcs = { schema: { name: string; properties: Property[] }[] } & Record<string, unknown>;

const { code, stdout, stderr } = await runCli(['contract', 'export', '--release', '2.3.0']);
const document = parse(stdout) as Odcs;
const property = (object: string, name: string): Property | undefined =>
  document.schema
    .find((each) => each.name === object)
    ?.properties.find((each) => each.name === name);

describe('contract export', () => {
  it('prints one document for the stream, the dimensions and the table', () => {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(document).toMatchObject({
      apiVersion: 'v3.1.0',
      kind: 'DataContract',
      id: 'clicks',
      version: '2.3.0',
      status: 'active',
    });
    expect(document.schema).toMatchObject([
      { name: 'click', physicalName: 'clicks', physicalType: 'topic' },
      { name: 'users', physicalName: 'app.public.users', physicalType: 'topic' },
      { name: 'devices', physicalName: 'app.public.devices', physicalType: 'topic' },
      { name: 'urls', physicalName: 'app.public.urls', physicalType: 'topic' },
      { name: 'clicks', physicalName: 'lake.clicks', physicalType: 'table' },
    ]);
  });

  it.each(['', ' '])('the version %j is none: it ends with 2', async (version) => {
    const refused = await runCli(['contract', 'export', '--release', version]);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('expected a version, such as 2.3.0');
  });

  it('has logical and physical types, what is required, keys, joins and descriptions', () => {
    expect(property('click', 'event_time')).toEqual({
      name: 'event_time',
      description: "When the click happened, by the sender's clock.",
      required: true,
      logicalType: 'timestamp',
      logicalTypeOptions: { timezone: true },
      physicalType: 'long (timestamp-millis)',
    });
    expect(property('click', 'url')).toMatchObject({
      relationships: [{ type: 'foreignKey', to: 'urls.url' }],
    });
    expect(property('urls', 'url_id')).toMatchObject({ primaryKey: true, primaryKeyPosition: 1 });
    expect(property('urls', 'price')).toMatchObject({
      required: false,
      logicalType: 'number',
      physicalType: 'bytes (decimal(12, 2))',
    });
  });

  it('says of the table what identifies a row and how it is partitioned', () => {
    expect(property('clicks', 'event_time')).toMatchObject({
      physicalType: 'timestamptz',
      partitioned: true,
      partitionKeyPosition: 1,
    });
    expect(property('clicks', '_kafka_partition')).toMatchObject({ primaryKeyPosition: 1 });
    expect(property('clicks', '_kafka_offset')).toMatchObject({ primaryKeyPosition: 2 });
    expect(property('clicks', 'url_price')).toMatchObject({ physicalType: 'decimal(12, 2)' });
    expect(property('clicks', 'user_id')).not.toHaveProperty('primaryKey');
  });
});
