import type { NestedField } from '@iceberg-js/rest-client-shim/spec/table-schema.ts';
import { describe, expect, it } from 'vitest';
import type { TrialResult } from '../../enrich/dead-letters/record-trial.ts';
import { planEvolution } from '../../schemas/plan-evolution.ts';
import { previewNewTable, previewTable } from '../../cli/preview-table.ts';
import type { TablePreview } from '../../cli/preview-table.ts';
import { isRefusing, renderMarkdown, renderPreview } from '../../cli/preview-text.ts';
import type { Preview } from '../../cli/preview-text.ts';

const field = (id: number, name: string, type: NestedField['type'], required = false) => {
  return { id, name, required, type };
};
const fields = [
  field(1, 'id', 'long', true),
  field(2, 'size', 'int'),
  field(3, 'note', 'string'),
  field(4, 'kind', 'string', true),
];
const metadata = {
  schemas: [{ schemaId: 0, fields }],
  currentSchemaId: 0,
  lastColumnId: 4,
};

function preview(
  columns: readonly NestedField[],
  options: Partial<Parameters<typeof planEvolution>[0]> & { takesNewFields?: boolean } = {},
): TablePreview {
  const { table = metadata, takesNewFields = false } = options;
  const plan = planEvolution({ table, columns, allows: () => true, ...options });
  return previewTable({
    table: 'lake.clicks',
    from: 'the catalog',
    metadata: table,
    columns,
    plan,
    takesNewFields,
  });
}

const outcomes = ({ columns }: TablePreview) =>
  columns.map(({ column, fieldId, outcome }) => [column, fieldId, outcome]);

const trial: TrialResult = {
  records: 10,
  accepted: 7,
  newlyRefused: 2,
  refused: [
    {
      kind: 'contract-violation',
      message: 'field note: it is null',
      count: 2,
      newly: 2,
      example: '0/4',
    },
    {
      kind: 'no-magic-byte',
      message: 'the value is not framed',
      count: 1,
      newly: 0,
      example: '1/9',
    },
  ],
  schemas: [{ schemaId: 7, records: 9 }],
  unwritten: ['campaign'],
  alwaysNull: [],
  leftOut: ['old'],
  followed: [],
};

describe('the preview of a table', () => {
  it('says of each column that changes what becomes of it and of queries', () => {
    const shown = preview(
      [
        field(0, 'id', 'long', true),
        field(0, 'size', 'long'),
        field(0, 'remark', 'string'),
        field(0, 'tags', { type: 'list', elementId: 0, element: 'string', elementRequired: true }),
      ],
      { formerNames: new Map([['remark', ['note']]]) },
    );
    expect(outcomes(shown)).toEqual([
      ['size', 2, 'widened'],
      ['remark', 3, 'renamed'],
      ['kind', 4, 'left'],
      ['tags', 5, 'added'],
    ]);
    expect(shown.unchanged).toEqual(['id']);
    const texts = shown.columns.map(({ what, queries }) => `${what} | ${queries}`);
    expect(texts[0]).toContain('int becomes long');
    expect(texts[1]).toContain("Column 'note' cannot be resolved");
    expect(texts[2]).toMatch(/becomes optional \| go on; null in new rows/);
    expect(texts[3]).toMatch(/^list<string>, optional \| null in the rows of before$/);
  });

  it('shows the very request, as it goes over the wire', () => {
    const shown = preview([...fields, field(0, 'campaign', 'string')]);
    expect(shown.requirements).toEqual([
      { type: 'assert-current-schema-id', 'current-schema-id': 0 },
      { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': 4 },
    ]);
    expect(shown.updates).toMatchObject([
      { action: 'add-schema', 'last-column-id': 5, schema: { type: 'struct', 'schema-id': 1 } },
      { action: 'set-current-schema', 'schema-id': -1 },
    ]);
  });

  it('tells columns that nothing writes, though the table does not change', () => {
    const shown = preview(fields.filter(({ name }) => name !== 'note'));
    expect(outcomes(shown)).toEqual([['note', 3, 'left']]);
    expect(shown.updates).toEqual([]);
  });

  it.each([
    [false, 'go on; null in new rows'],
    [true, 'go on; null in rows whose record lacks it'],
  ])('where producers may bring fields (%s), those go on filling them', (takesNewFields, told) => {
    const columns = fields.filter(({ name }) => name !== 'note' && name !== 'kind');
    const { columns: shown } = preview(columns, { takesNewFields });
    expect(shown.map(({ column, queries }) => [column, queries])).toEqual([
      ['kind', told],
      ['note', told],
    ]);
  });

  it('tells fields within a column that nothing writes', () => {
    const box = (...inner: NestedField[]) => field(5, 'box', { type: 'struct', fields: inner });
    const [n, old] = [field(6, 'n', 'int'), field(7, 'old', 'int')];
    const table = {
      schemas: [{ schemaId: 0, fields: [...fields, box(n, old)] }],
      currentSchemaId: 0,
      lastColumnId: 7,
    };
    const shown = preview([...fields, box(n)], { table });
    expect(outcomes(shown)).toEqual([['box.old', 7, 'left']]);
    expect(shown.unchanged).toEqual(['id', 'size', 'note', 'kind']);
  });

  it('says how to come by what is refused', () => {
    const shown = preview(
      [...fields.with(1, field(2, 'size', 'string')), field(0, 'campaign', 'string')],
      { allows: () => false },
    );
    const refused = shown.columns.filter(({ outcome }) => outcome === 'refused');
    expect(refused.map(({ column, what }) => `${column} ${what}`)).toEqual([
      'size is int in the table and cannot become string',
      'campaign (string) is missing from the table, and pipeline.yaml does not allow that',
    ]);
    const instead = [
      'keep the field as it is and add one with the new type under another name',
      'add add-field to evolution.allow',
    ];
    expect(refused.map((each) => each.instead)).toEqual(instead);
    const [text, markdown] = [renderPreview({ table: shown }), renderMarkdown({ table: shown })];
    for (const told of instead) {
      expect(text).toContain(`\n    instead: ${told}\n`);
      expect(markdown).toContain(`; instead: ${told} |`);
    }
    expect(isRefusing({ table: shown })).toBe(true);
  });

  it('of one that is not there yet lists all columns', () => {
    const shown = previewNewTable({ table: 'lake.clicks', from: 'the catalog', columns: fields });
    expect(shown.columns.map(({ what }) => what)).toEqual([
      'long, required',
      'int',
      'string',
      'string, required',
    ]);
    expect(renderPreview({ table: shown })).toContain('not in the catalog yet');
    expect(isRefusing({ table: shown })).toBe(false);
  });
});

describe('the verdict', () => {
  const table = preview(fields);

  it('counts records that are refused newly, not those that are refused today', () => {
    const older = 'version 3 of clicks-value';
    const both: Preview = { table, records: { ...trial, topic: 'clicks', older } };
    expect(isRefusing(both)).toBe(true);
    const text = renderPreview(both);
    expect(text).toContain(
      '2 contract-violation: field note: it is null, 2 of them newly; such as clicks/0/4',
    );
    expect(text).toContain(
      '1 no-magic-byte: the value is not framed, as today; such as clicks/1/9',
    );
    expect(text).toContain('stay at their default, since no record has them: campaign');
    expect(text).toContain('are in records and not in the contract: old');
    expect(text).toMatch(/\n2 records newly refused$/);
    const asToday = { ...trial, accepted: 9, newlyRefused: 0, refused: trial.refused.slice(1) };
    expect(isRefusing({ table, records: { ...asToday, topic: 'clicks', older } })).toBe(false);
  });

  it('counts records beyond the reasons that are told', () => {
    const more = {
      ...trial,
      records: 1_010,
      newlyRefused: 900,
      older: 'git main',
      topic: 'clicks',
    };
    const text = renderPreview({ table, records: more });
    expect(text).toMatch(/\n {2}7 become rows, 1003 are refused\n/);
    expect(text).toMatch(/\n {2}1000 for other reasons\n/);
    expect(text).toMatch(/\n900 records newly refused$/);
  });

  it('counts every one where there is nothing older', () => {
    expect(isRefusing({ table, records: { ...trial, topic: 'clicks' } })).toBe(true);
    expect(renderPreview({ table, records: { ...trial, topic: 'clicks' } })).toMatch(
      /with nothing older to compare with: 9 of schema 7\n[^]*\n3 records newly refused$/,
    );
  });
});

it('Markdown has a table, the request folded away, and the verdict', () => {
  const table = preview([...fields, field(0, 'a|b', 'string')]);
  const text = renderMarkdown({ table, records: { ...trial, topic: 'clicks' } });
  expect(text).toMatch(/^### lake\.clicks as it stands in the catalog: 4 columns unchanged\n/);
  expect(text).toContain('| a\\|b | 5 | added | string, optional | null in the rows of before |');
  expect(text).toMatch(
    /<details><summary>[^\n]*<\/summary>\n\n```json\n\{[^]*\n```\n\n<\/details>/,
  );
  expect(text).toMatch(/\n- 7 become rows, 3 are refused\n/);
  expect(text).toMatch(/\n\*\*3 records newly refused\*\*$/);
});
