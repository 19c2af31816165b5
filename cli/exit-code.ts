/** Exit codes of every command: 0 ok, 1 failed check, 2 usage, 70 internal, 78 configuration. */
export const EXIT = { ok: 0, failedCheck: 1, usage: 2, internal: 70, configuration: 78 } as const;

/**
 * The exit code that an error asks for, by its kind: what the user must change, decide or rebuild is 78, what is
 * away at the moment, or stopped as its policy says, is 1, everything else is our own bug.
 */
export function exitCodeOf(error: unknown): number {
  switch ((error as { kind?: unknown } | undefined)?.kind) {
    case 'config':
    case 'fenced':
    case 'corrupt':
    case 'rebuild':
    case 'renew':
      return EXIT.configuration;
    case 'unavailable':
    case 'reopen':
    case 'schema-change':
    case 'unauthorized':
    case 'conflict':
    case 'commit-unknown':
      return EXIT.failedCheck;
    default:
      return EXIT.internal;
  }
}

/** The message with its causes, one line each; a bug of ours with its stack. */
export function describeForUser(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const lines: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const text = (current.message || current.name).trimEnd();
    if (!lines.some((line) => line.includes(text)))
      lines.push(depth === 0 ? text : `caused by: ${text}`);
    current = current.cause;
  }
  if (isRefused(error)) lines.push('`make status` says what runs, `make up` starts the stack');
  if (exitCodeOf(error) === EXIT.internal && error.stack !== undefined) lines.push(error.stack);
  return lines.join('\n  ');
}

/** Whether a refused connection is among the causes; some clients tell it in words alone. */
function isRefused(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth === 10) return false;
  if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return true;
  if (error.message.includes('ECONNREFUSED')) return true;
  const parts: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [error.cause, ...parts].some((part) => isRefused(part, depth + 1));
}
