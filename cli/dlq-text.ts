import { hexDump } from '../enrich/dead-letters/inspect-record.ts';
import type { Inspection } from '../enrich/dead-letters/inspect-record.ts';
import type { DeadLetter, RawDeadLetter } from '../enrich/dead-letters/read-dead-letters.ts';
import { remedyOf } from '../enrich/dead-letters/remedy.ts';
import type { ReplayReport } from '../enrich/dead-letters/replay.ts';
import type { DeadLetterSummary } from '../enrich/dead-letters/summarise.ts';
import { renderTable } from './terminal.ts';

const DUMP_BYTES_MAX = 512;

/** JSON with 64-bit numbers as text and bytes as base64. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, replaceForJson, 2);
}

/** A Buffer comes as what its own `toJSON` has made of it; the holder has it as it is. */
function replaceForJson(this: Readonly<Record<string, unknown>>, name: string): unknown {
  const part = this[name];
  if (typeof part === 'bigint') return String(part);
  return part instanceof Uint8Array ? Buffer.from(part).toString('base64') : part;
}

function timeText(us: bigint): string {
  return new Date(Number(us / 1000n)).toISOString();
}

/** Text out of a record may hold what a terminal obeys. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\ufffd');
}

/** The name of a record that `dlq show` takes. */
function placeOf({ topic, partition, offset }: DeadLetter): string {
  return `${topic}/${partition}/${offset}`;
}

/** `all` is how many there are, whatever the filter. */
export function renderSummary({ count, groups, newest }: DeadLetterSummary, all: number): string {
  if (count === 0) return noneOf(all);
  const byKind = renderTable(
    ['kind', 'topic', 'records', 'replayed', 'first', 'last'],
    groups.map(({ kind, topic, count: records, replayed, firstUs, lastUs }) => {
      return [kind, topic, records, replayed, timeText(firstUs), timeText(lastUs)];
    }),
  );
  const listed = renderTable(
    ['refused', 'record', 'kind', 'schema id', 'replayed', 'message'],
    newest.map((letter) => {
      const { ingestedAtUs, kind, schemaId, replayed, message } = letter;
      const done = replayed ? 'yes' : 'no';
      return [timeText(ingestedAtUs), placeOf(letter), kind, schemaId, done, printable(message)];
    }),
  );
  return `${count} dead letters\n\n${byKind}\n\nthe newest ${newest.length}\n\n${listed}`;
}

function noneOf(all: number): string {
  return all <= 0 ? 'no dead letters' : `none of ${all} dead letters match`;
}

export function renderLetter(of: {
  letter: RawDeadLetter;
  replayed: boolean;
  inspection: Inspection | undefined;
  isStream: boolean;
}): string {
  const { letter, replayed, inspection, isStream } = of;
  const { key, value, kind, message, schemaId, topicId, timestampUs, ingestedAtUs } = letter;
  const facts = renderTable(
    ['what', 'value'],
    [
      ['record', placeOf(letter)],
      ['topic id', topicId],
      ['sent', timeText(timestampUs)],
      ['refused', timeText(ingestedAtUs)],
      ['replayed', replayed ? 'yes' : 'no'],
      ['schema id', schemaId],
      ['error', kind],
      ['message', printable(message)],
    ].map(([what, text]) => [what, text === undefined ? undefined : String(text)]),
  );
  return [
    facts,
    bytesText('key', key),
    bytesText('value', value),
    ...(inspection === undefined ? [] : [inspectionText(inspection)]),
    `what to do\n\n  ${remedyOf(kind, isStream)}`,
  ].join('\n\n');
}

function bytesText(what: string, bytes: Uint8Array | null): string {
  if (bytes === null) return `${what}: null`;
  const dump = hexDump(bytes, DUMP_BYTES_MAX).replaceAll(/^/gm, '  ');
  return `${what}, ${bytes.length} bytes\n\n${dump}`;
}

function inspectionText({ fields, stoppedBy }: Inspection): string {
  const rows = fields.map(({ name, text, end }) => [printable(name), printable(text), end]);
  const read = renderTable(['field', 'value', 'ends at byte'], rows);
  const sound = 'the bytes are sound by the schema that they name';
  return `as far as it can be read\n\n${read}\n\n  ${printable(stoppedBy ?? sound)}`;
}

export function renderReplay(
  { replayed, alreadyReplayed, leftOut }: ReplayReport,
  { dryRun, all }: { dryRun: boolean; all: number },
): string {
  if (replayed + alreadyReplayed + leftOut.length === 0) return noneOf(all);
  const lines = [
    dryRun ? `${replayed} records would be sent` : `${replayed} records sent to the stream again`,
    `${alreadyReplayed} were sent before`,
  ];
  for (const { reason, count, examples } of leftOut) {
    const named = examples.map(placeOf).join(', ');
    lines.push(
      `${count} stay: ${printable(reason)} (${named}${count > examples.length ? ', ...' : ''})`,
    );
  }
  return lines.join('\n');
}
