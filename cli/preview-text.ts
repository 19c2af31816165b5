import type { TrialResult } from '../enrich/dead-letters/record-trial.ts';
import type { TablePreview } from './preview-table.ts';
import { renderTable } from './terminal.ts';

/** What the contracts would do to a table, and what the topic's newest records are under them. */
export type Preview = {
  table: TablePreview;
  records?: TrialResult & {
    topic: string;
    /** What the records were held against beside the contract; absent where there is nothing older. */
    older?: string;
  };
};

/** Whether the table refuses something, or records are refused that are not today. */
export function isRefusing({ table, records }: Preview): boolean {
  return table.columns.some(({ outcome }) => outcome === 'refused') || newlyRefused(records) > 0;
}

function newlyRefused(records: Preview['records']): number {
  if (records === undefined) return 0;
  return records.older === undefined ? records.records - records.accepted : records.newlyRefused;
}

/** For the terminal. */
export function renderPreview(preview: Preview): string {
  const { table, records } = preview;
  const request = requestText(table);
  return [
    heading(table),
    ...columnText(table),
    ...(table.views.length === 0 ? [] : [table.views.map((view) => `  ${view}`).join('\n')]),
    ...(request === undefined ? [] : [`  ${REQUEST}\n${indented(request)}`]),
    ...(records === undefined ? [] : [recordText(records)]),
    verdict(preview),
  ].join('\n\n');
}

/** For a review: GitHub's Markdown. */
export function renderMarkdown(preview: Preview): string {
  const { table, records } = preview;
  const request = requestText(table);
  return [
    `### ${heading(table)}`,
    ...(table.columns.length === 0 ? [] : [markdownTable(table)]),
    ...(table.views.length === 0 ? [] : [markdownList(table.views)]),
    ...(request === undefined
      ? []
      : [`<details><summary>${REQUEST}</summary>\n\n\`\`\`json\n${request}\n\`\`\`\n\n</details>`]),
    ...(records === undefined ? [] : recordParts(records)),
    `**${verdict(preview)}**`,
  ].join('\n\n');
}

const REQUEST = 'the commit that brings it carries, beside its rows and position:';

/** Changes with what follows from each; a table that is not there yet as the list of its columns. */
function columnText({ exists, columns }: TablePreview): string[] {
  if (columns.length === 0) return [];
  if (!exists) {
    const rows = columns.map(({ column, what }) => [column, what]);
    return [renderTable(['column', 'type'], rows)];
  }
  const blocks = columns.map(({ column, fieldId, outcome, what, queries, instead }) => {
    // What is refused is told by a sentence that begins with the column.
    const told = fieldId === undefined ? ` ${what}` : ` (id ${fieldId}): ${what}`;
    const lines = [`  ${outcome}: ${column}${told}`];
    if (queries !== '') lines.push(`    queries: ${queries}`);
    if (instead !== '') lines.push(`    instead: ${instead}`);
    return lines.join('\n');
  });
  return [blocks.join('\n')];
}

function heading({ table, from, exists, unchanged }: TablePreview): string {
  if (!exists) return `${table} is not in ${from} yet: the first start of the pipeline makes it`;
  const rest = `${unchanged.length} column${unchanged.length === 1 ? '' : 's'} unchanged`;
  return `${table} as it stands in ${from}: ${rest}`;
}

function requestText({ requirements, updates }: TablePreview): string | undefined {
  return updates.length === 0 ? undefined : shortJson({ requirements, updates });
}

/** JSON in which whatever fits one line stands on one. */
function shortJson(value: unknown, indent = ''): string {
  const line = JSON.stringify(value);
  if (line.length + indent.length <= LINE_MAX || typeof value !== 'object' || value === null) {
    return line;
  }
  const inner = `${indent}  `;
  const parts = Array.isArray(value)
    ? value.map((item) => `${inner}${shortJson(item, inner)}`)
    : Object.entries(value).map(
        ([key, item]) => `${inner}${JSON.stringify(key)}: ${shortJson(item, inner)}`,
      );
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return `${open}\n${parts.join(',\n')}\n${indent}${close}`;
}

const LINE_MAX = 160;

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}

function recordText(trial: NonNullable<Preview['records']>): string {
  const [title, ...facts] = recordLines(trial);
  return [title, ...facts.map((fact) => `  ${fact}`)].join('\n');
}

function recordParts(trial: NonNullable<Preview['records']>): string[] {
  const [title = '', ...facts] = recordLines(trial);
  return facts.length === 0 ? [title] : [title, markdownList(facts)];
}

/** What was tried, then what came of it. */
function recordLines(trial: NonNullable<Preview['records']>): string[] {
  const { topic, records, accepted, older, refused, schemas } = trial;
  if (records === 0) return [`${topic} has no records to try`];
  const by = schemas.map(({ schemaId, records: count }) => `${count} of schema ${schemaId}`);
  const compared = `, ${older === undefined ? 'with nothing older to compare with' : `compared with ${older}`}`;
  const rest = refused.reduce((left, { count }) => left - count, records - accepted);
  return [
    `the newest ${records} records of ${topic}${compared}: ${by.join(', ')}`,
    `${accepted} become rows, ${records - accepted} are refused`,
    ...refused.map(({ kind, message, count, newly, example }) => {
      return `${count} ${kind}: ${message}${todayText(older, newly)}; such as ${topic}/${example}`;
    }),
    ...(rest === 0 ? [] : [`${rest} for other reasons`]),
    ...trial.followed.map((change) => `the table follows ${change}`),
    ...fieldLine('stay at their default, since no record has them', trial.unwritten),
    ...fieldLine('are null in every row', trial.alwaysNull),
    ...fieldLine('are in records and not in the contract', trial.leftOut),
  ];
}

function todayText(older: string | undefined, newly: number): string {
  if (older === undefined) return '';
  return newly === 0 ? ', as today' : `, ${newly} of them newly`;
}

function fieldLine(what: string, fields: readonly string[]): string[] {
  return fields.length === 0 ? [] : [`${what}: ${fields.join(', ')}`];
}

function verdict(preview: Preview): string {
  const refused = preview.table.columns.filter(({ outcome }) => outcome === 'refused').length;
  const records = newlyRefused(preview.records);
  const parts = [
    ...(refused === 0 ? [] : [`${refused} change${refused === 1 ? ' is' : 's are'} refused`]),
    ...(records === 0 ? [] : [`${records} record${records === 1 ? '' : 's'} newly refused`]),
  ];
  if (parts.length === 0) return 'nothing is refused';
  return `${parts.join(', ')}${refused === 0 ? '' : '; the pipeline does not start with that'}`;
}

const head = ['column', 'id', 'outcome', 'what becomes of it', 'queries'];

function markdownTable({ columns }: TablePreview): string {
  const rows = columns.map(({ column, fieldId, outcome, what, queries, instead }) => {
    const told = instead === '' ? what : `${what}; instead: ${instead}`;
    return [column, fieldId === undefined ? '' : String(fieldId), outcome, told, queries];
  });
  return [head, head.map(() => '---'), ...rows].map(markdownRow).join('\n');
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function markdownList(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}
