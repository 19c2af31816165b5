/**
 * What the caller should do: `config` stop and name what to fix; `decode` reject the record, go on;
 * `unavailable` back off and retry.
 */
export type ContractErrorKind = 'config' | 'decode' | 'unavailable';

/** The one error type of this package. Retryability follows from `kind`; nobody parses `message`. */
export class ContractError extends Error {
  readonly kind: ContractErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    kind: ContractErrorKind,
    message: string,
    options: { context?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ContractError';
    this.kind = kind;
    this.context = options.context ?? {};
  }
}
