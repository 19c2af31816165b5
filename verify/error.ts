/**
 * What the caller should do: `config` stop and name what to fix; `unavailable` back off and retry;
 * `corrupt` what the table records about itself cannot be read.
 */
export type VerifyErrorKind = 'config' | 'unavailable' | 'corrupt';

/** The one error type of this package. Retryability follows from `kind`; nobody parses `message`. */
export class VerifyError extends Error {
  readonly kind: VerifyErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    kind: VerifyErrorKind,
    message: string,
    options: { context?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'VerifyError';
    this.kind = kind;
    this.context = options.context ?? {};
  }
}
