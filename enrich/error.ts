/**
 * What the caller should do: `config` stop and name the key to fix; `decode` reject the record, go on;
 * `unavailable` back off and retry; `fenced` stop, another owner or another topic is ahead; `corrupt` stop,
 * the log's bytes are damaged; `reopen` close the state store and open it again; `rebuild` its files are damaged: set
 * them aside and build the state again from the change topics; `renew` its files are sound, but too old: delete them
 * and build it again; `schema-change` stop, the policy for a writer's schema that differs from the contract says so.
 */
export type EnrichErrorKind =
  | 'config'
  | 'decode'
  | 'unavailable'
  | 'fenced'
  | 'corrupt'
  | 'reopen'
  | 'rebuild'
  | 'renew'
  | 'schema-change';

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
