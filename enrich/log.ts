type LogLevel = 'info' | 'warn' | 'error';

type LogFields = Readonly<Record<string, unknown>>;

/** Structured log: a line for each commit in the steady state, and everything about what went wrong. */
export type Logger = {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
};

/**
 * A logger of JSON lines: `{"time","level","message",...fields}`. Errors become their message, kind,
 * context and causes; bigints become text; secrets carry themselves as `***`.
 */
export function createJsonLogger(write: (line: string) => void, nowMs: () => number): Logger {
  const log = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    const time = new Date(nowMs()).toISOString();
    write(JSON.stringify({ time, level, message, ...fields }, replaceUnprintable));
  };
  return {
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  };
}

function replaceUnprintable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Error) return describeError(value);
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
}

function describeError(error: Error): Record<string, unknown> {
  const { kind, context } = error as { kind?: unknown; context?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(kind === undefined ? {} : { kind }),
    ...(context === undefined ? {} : { context }),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  };
}
