/**
 * What the caller should do about a failure:
 * `config` stop and tell the user which setting is wrong; `unavailable` back off and retry;
 * `conflict` reload and stage again; `commit-unknown` look for our own commit, delete nothing;
 * `fenced` stop, the table is not the one we knew; `corrupt` metadata or a file is unreadable;
 * `unauthorized` refresh the token, then resend the identical request.
 */
export type CatalogErrorKind =
  'config' | 'unavailable' | 'conflict' | 'commit-unknown' | 'fenced' | 'corrupt' | 'unauthorized';

/** The one error type of this package. Retryability follows from `kind`; nobody parses `message`. */
export class CatalogError extends Error {
  readonly kind: CatalogErrorKind;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(
    kind: CatalogErrorKind,
    message: string,
    options: { context?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CatalogError';
    this.kind = kind;
    this.context = options.context ?? {};
  }
}
