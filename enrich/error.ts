/**
 * What the caller should do: `config` stop and name the key to fix; `decode` reject the record, go on;
 * `unavailable` back off and retry; `fenced` stop, another owner or another topic is ahead;
 * `corrupt` rebuild the state.
 */
export type EnrichErrorKind = 'config' | 'decode' | 'unavailable' | 'fenced' | 'corrupt';

/** The one error type of this package. Retryability follows from `kind`; nobody parses `message`. */
export class EnrichError extends Error {
  readonly kind: EnrichErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    kind: EnrichErrorKind,
    message: string,
    options: { context?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EnrichError';
    this.kind = kind;
    this.context = options.context ?? {};
  }
}
