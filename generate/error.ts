/** What the caller should do: `config` stop and name what to fix; `unavailable` back off and retry. */
export type GenerateErrorKind = 'config' | 'unavailable';

/** The one error type of this package. Retryability follows from `kind`; nobody parses `message`. */
export class GenerateError extends Error {
  readonly kind: GenerateErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    kind: GenerateErrorKind,
    message: string,
    options: { context?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GenerateError';
    this.kind = kind;
    this.context = options.context ?? {};
  }
}
