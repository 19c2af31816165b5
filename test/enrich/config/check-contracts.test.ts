import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pathText } from '../../../configuration/config-issue.ts';
import { checkContracts } from '../../../enrich/config/check-contracts.ts';
import type { ContractSet } from '../../../enrich/config/check-contracts.ts';
import { parsePipelineFile } from '../../../enrich/config/load-pipeline.ts';
import type { DimensionConfig, PipelineConfig } from '../../../enrich/config/pipeline-config.ts';
import type { Contract } from '../../../schemas/contract.ts';
import { loadContract } from '../../../schemas/load-contracts.ts';

const contracts: ContractSet = {
  stream: await loadContract('schemas', 'click'),
  dimensions: new Map([
    ['users', await loadContract('schemas', 'user')],
    ['devices', await loadContract('schemas', 'device')],
    ['urls', await loadContract('schemas', 'url')],
  ]),
};

/** Each finding as one line. */
function check(pipeline: PipelineConfig, of = contracts): string[] {
  return checkContracts(pipeline, of).map(({ path, message }) => `${pathText(path)}: ${message}`);
}

function config(): PipelineConfig {
  const parsed = parsePipelineFile(readFileSync('pipeline.yaml', 'utf8'), {}, () => '');
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
  return parsed.config;
}

/** What is found when one dimension of pipeline.yaml is another. */
function checkWith(name: string, change: Partial<DimensionConfig>): string[] {
  const base = config();
  const dimensions = base.dimensions.map((one) =>
    one.name === name ? { ...one, ...change } : one,
  );
  return check({ ...base, dimensions });
}

describe('contracts that fit pipeline.yaml', () => {
  it('give no findings', () => {
    expect(check(config())).toEqual([]);
  });
});

describe('a finding names the dimension, the field and the nearest one that exists', () => {
  const cases: [string, string, Partial<DimensionConfig>, RegExp][] = [
    [
      'a carried column',
      'users',
      { columns: ['contry'] },
      /^dimensions\[0\].columns\[0\]: contract user .*"contry"; did you mean "country"/,
    ],
    ['the primary key', 'users', { primaryKey: 'userid' }, /"userid"; did you mean "user_id"/],
    [
      'the join key',
      'urls',
      { joinKey: 'uri' },
      /^dimensions\[2\].join_key: .*"uri"; did you mean "url"/,
    ],
    ['the stream field', 'urls', { streamField: 'ulr' }, /stream_field.*"ulr"; did you mean "url"/],
  ];

  it.each(cases)('for %s', (_what, dimension, change, message) => {
    const findings = checkWith(dimension, change);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(message);
  });

  it('for all that is wrong at once', () => {
    expect(checkWith('users', { columns: ['a1', 'b2'], joinKey: 'c3' })).toHaveLength(3);
  });
});

describe('what cannot be joined is a finding', () => {
  it.each([
    ['a long and a string', { joinKey: 'name' }, /"user_id" \(long\).*"name" \(optional string\)/],
    ['a date', { streamField: 'event_time', joinKey: 'updated_at' }, /cannot be joined/],
    [
      'a normaliser on a number',
      { normaliser: 'url' as const },
      /normaliser url needs a string key/,
    ],
  ])('%s', (_what, change, message) => {
    const findings = checkWith('users', change);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(message);
  });
});

describe('also found', () => {
  it('is a dimension that carries nothing', () => {
    expect(checkWith('users', { columns: [] })).toEqual([
      'dimensions[0].columns: the list is empty; name at least one column to carry',
    ]);
  });

  it('is a contract that was not loaded', () => {
    const findings = check(config(), { ...contracts, dimensions: new Map() });
    expect(findings).toHaveLength(3);
    expect(findings[0]).toMatch(/^dimensions\[0\]: contract user was not loaded/);
  });

  it.each([
    ['event_tim', /no field "event_tim"; did you mean "event_time"/],
    ['url', /"url" must be a required timestamp, not string/],
    ['duration_ms', /must be a required timestamp, not optional int/],
  ])('is an event time that is none: %s', (eventTime, message) => {
    const base = config();
    const findings = check({ ...base, stream: { ...base.stream, eventTime } });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(message);
  });
});

describe('a layout that the table cannot have is a finding', () => {
  const cases: [string, Partial<PipelineConfig['table']>, RegExp][] = [
    [
      'dai(event_time)',
      { partition: ['dai(event_time)'] },
      /partition\[0\]: unknown transform "dai"/,
    ],
    ['day(nope)', { partition: ['day(nope)'] }, /partition\[0\]: the table has no column "nope"/],
    ['day(url)', { partition: ['day(url)'] }, /transform day does not apply to string/],
    [
      'day(event_time',
      { partition: ['day(event_time'] },
      /expected a column or transform\(column\)/,
    ],
    ['a field twice', { partition: ['url', 'url'] }, /partition\[1\]: "url" stands here twice/],
    ['sort: [nope]', { sort: ['url', 'nope'] }, /table.sort\[1\]: the table has no column "nope"/],
  ];

  it.each(cases)('%s', (_what, layout, message) => {
    const base = config();
    const findings = check({ ...base, table: { ...base.table, ...layout } });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(message);
  });

  it('as is a column made of others, in the layout, in a join or carried', () => {
    const tags = { name: 'tags', type: { type: 'array', items: 'string' } };
    const withTags = (contract: Contract): Contract => ({
      name: contract.name,
      avroSchema: { ...contract.avroSchema, fields: [...contract.avroSchema.fields, tags] },
    });
    const [users] = contracts.dimensions.values();
    if (users === undefined) throw new Error('no contract of users');
    const of: ContractSet = {
      stream: withTags(contracts.stream),
      dimensions: new Map([...contracts.dimensions, ['users', withTags(users)]]),
    };
    const base = config();
    const { table, dimensions } = base;
    const usersWith = (change: Partial<DimensionConfig>) => ({
      ...base,
      dimensions: dimensions.map((one, index) => (index === 0 ? { ...one, ...change } : one)),
    });
    expect(check(base, of)).toEqual([]);
    expect(check({ ...base, table: { ...table, partition: ['tags'] } }, of)).toEqual([
      'table.partition[0]: a table cannot be partitioned by the list tags',
    ]);
    expect(check({ ...base, table: { ...table, sort: ['tags'] } }, of)).toEqual([
      'table.sort[0]: a table cannot be sorted by the list tags',
    ]);
    expect(check(usersWith({ streamField: 'tags', joinKey: 'tags' }), of)).toEqual([
      'dimensions[0].join_key: "tags" is a list: a dimension takes flat fields only',
      expect.stringContaining('dimensions[0].stream_field: the stream\'s "tags" (list<string>)'),
    ]);
    expect(check(usersWith({ columns: ['name', 'tags'] }), of)).toEqual([
      'dimensions[0].columns[1]: "tags" is a list: a dimension takes flat fields only',
    ]);
  });

  it('as are two columns of one name', () => {
    expect(checkWith('users', { columns: ['name'], prefix: '', primaryKey: 'user_id' })).toEqual(
      [],
    );
    const [finding] = checkWith('urls', { columns: ['url'], prefix: '' });
    expect(finding).toMatch(/^dimensions: .*url/);
  });
});
