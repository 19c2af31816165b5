import { describe, expect, it } from 'vitest';
import { parsePipelineFile } from '../../enrich/config/load-pipeline.ts';
import { EnrichError } from '../../enrich/error.ts';
import { createJsonLogger } from '../../enrich/log.ts';

function logger() {
  const lines: string[] = [];
  return {
    lines,
    log: createJsonLogger(
      (line) => lines.push(line),
      () => 1_700_000_000_000,
    ),
  };
}

describe('a log line', () => {
  it('is one JSON object with time, level and message, whatever the text holds', () => {
    const { lines, log } = logger();
    log.info('two\nlines "quoted"', { rows: 3 });
    log.warn('careful');
    log.error('broken');
    expect(lines.every((line) => !line.includes('\n'))).toBe(true);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { time: '2023-11-14T22:13:20.000Z', level: 'info', message: 'two\nlines "quoted"', rows: 3 },
      { time: '2023-11-14T22:13:20.000Z', level: 'warn', message: 'careful' },
      { time: '2023-11-14T22:13:20.000Z', level: 'error', message: 'broken' },
    ]);
  });

  it('holds the kind and context of an error, and of each cause', () => {
    const { lines, log } = logger();
    const cause = new TypeError('socket closed');
    const context = { offset: 9_007_199_254_740_993n, partitions: new Map([[0, 5n]]) };
    log.error('commit failed', {
      error: new EnrichError('unavailable', 'away', { context, cause }),
    });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      error: {
        name: 'EnrichError',
        kind: 'unavailable',
        message: 'away',
        context: { offset: '9007199254740993', partitions: { 0: '5' } },
        cause: { name: 'TypeError', message: 'socket closed' },
      },
    });
  });

  it('masks secrets, in fields and in the context of errors', () => {
    const text = `
pipeline: p
kafka: { brokers: ['a:1'], group: g, sasl: { mechanism: PLAIN, username: u, password: hunter2 } }
registry: { url: 'http://r', username: u, password: hunter2 }
stream: { topic: t, contract: c, event_time: e }
dimensions: []
readiness: { notification_topic: n }
catalog: { uri: 'http://c', oauth2: { client_id: i, client_secret: hunter2 } }
storage: { access_key_id: hunter2, secret_access_key: hunter2 }
table: { name: a.b, partition: [], sort: [] }
commit: {}
state: { directory: d }
http: {}
`;
    const parsed = parsePipelineFile(text, {}, () => '');
    if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.issues));
    const { lines, log } = logger();
    const { config } = parsed;
    const error = new EnrichError('config', 'refused', { context: { kafka: config.kafka } });
    log.error('cannot start', { config, error });
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]?.match(/\*\*\*/g)).toHaveLength(6);
  });
});
