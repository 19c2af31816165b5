/**
 * What the caller should do: `config` stop and name what to fix; `decode` reject the record, go on;
 * `unavailable` back off and retry.
 */
export type ConnectorsErrorKind = 'config' | 'decode' | 'unavailable';

/** The one error type of this package. Retryability follows from `kind`; nobody parses `message`. */
export class ConnectorsError extends Error {
  readonly kind: ConnectorsErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    kind: ConnectorsErrorKind,
    message: string,
    options: { context?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ConnectorsError';
    this.kind = kind;
    this.context = options.context ?? {};
  }
}
