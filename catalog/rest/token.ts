import { CatalogError } from '../error.ts';
import { failureOf, requestFailureKind } from './failure.ts';
import { parseJson } from './json.ts';
import { exchange, type HttpAnswer, type Transport } from './transport.ts';

/** How to prove to the catalog who we are. */
export type RestCredentials =
  | { kind: 'none' }
  | { kind: 'bearer'; token: string }
  | {
      kind: 'oauth2';
      clientId: string;
      clientSecret: string;
      /** `catalog` by default. */
      scope?: string;
      /** The catalog's own `/v1/oauth/tokens` by default. */
      tokenUri?: string;
    };

/** A token is renewed this long before it expires, or after four fifths of a shorter life. */
const EXPIRY_MARGIN_MS_MAX = 60_000;
const TOKEN_REQUEST_TIMEOUT_MS_MAX = 30_000;
/** What a token without `expires_in` is taken to last; one refused earlier is renewed at once. */
const TOKEN_LIFE_MS_DEFAULT = 3_600_000;

/** The current bearer token; requests running at the same time share one renewal. */
export interface TokenSource {
  /** Undefined where the catalog needs no token. */
  token(): Promise<string | undefined>;
  /** Gets another token in place of one that was refused; false where there is no way to. */
  renew(refused: string | undefined): Promise<boolean>;
  /** Takes tokens and secrets out of a text. */
  redact(text: string): string;
}

/**
 * Tokens for the given credentials. Errors: `config` where the token server refuses the client
 * credentials, `unavailable` where it cannot be reached or answers with a server error.
 * Source: RFC 6749, section 4.4; Iceberg REST spec, `/v1/oauth/tokens`.
 */
export function createTokenSource(options: {
  credentials: RestCredentials;
  catalogUri: string;
  transport: Transport;
}): TokenSource {
  const { credentials } = options;
  switch (credentials.kind) {
    case 'none':
      return fixedToken(undefined);
    case 'bearer':
      return fixedToken(credentials.token);
    case 'oauth2':
      return clientCredentialsToken({ ...options, credentials });
  }
}

function fixedToken(token: string | undefined): TokenSource {
  return {
    token: async () => token,
    renew: async () => false,
    redact: (text) => redacted(text, [token]),
  };
}

type ClientCredentials = Extract<RestCredentials, { kind: 'oauth2' }>;
type Grant = { token: string; renewAtMs: number };

function clientCredentialsToken(options: {
  credentials: ClientCredentials;
  catalogUri: string;
  transport: Transport;
}): TokenSource {
  const { credentials, transport } = options;
  let grant: Grant | undefined;
  let pending: Promise<Grant> | undefined;

  const redact = (text: string): string => redacted(text, [grant?.token, credentials.clientSecret]);

  const obtain = async (): Promise<Grant> => {
    pending ??= requestGrant(options, redact).finally(() => {
      pending = undefined;
    });
    grant = await pending;
    return grant;
  };

  return {
    async token() {
      const current =
        grant !== undefined && transport.nowMs() < grant.renewAtMs ? grant : await obtain();
      return current.token;
    },
    async renew(refused) {
      // Where the refused token is not the current one, another request has renewed it already.
      if (grant === undefined || grant.token === refused) await obtain();
      return true;
    },
    redact,
  };
}

async function requestGrant(
  options: { credentials: ClientCredentials; catalogUri: string; transport: Transport },
  redact: (text: string) => string,
): Promise<Grant> {
  const { credentials, transport } = options;
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: credentials.clientId,
    client_secret: credentials.clientSecret,
    scope: credentials.scope ?? 'catalog',
  });
  const outcome = await exchange(transport, {
    method: 'POST',
    url: credentials.tokenUri ?? `${options.catalogUri}/v1/oauth/tokens`,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: Buffer.from(form.toString()),
    timeoutMsMax: TOKEN_REQUEST_TIMEOUT_MS_MAX,
  });
  if (outcome.kind === 'no-answer' || outcome.status !== 200) {
    const kind = requestFailureKind(outcome) === 'unavailable' ? 'unavailable' : 'config';
    throw failureOf(kind, outcome, { doing: 'get an OAuth2 token', redact });
  }
  return grantOf(outcome, transport.nowMs());
}

function grantOf(answer: HttpAnswer, nowMs: number): Grant {
  const body = grantBody(answer.text);
  const lifeMs =
    typeof body?.expires_in === 'number' ? body.expires_in * 1000 : TOKEN_LIFE_MS_DEFAULT;
  if (typeof body?.access_token !== 'string') {
    throw new CatalogError('config', 'get an OAuth2 token: the answer has no access_token');
  }
  const marginMs = Math.min(EXPIRY_MARGIN_MS_MAX, lifeMs / 5);
  return { token: body.access_token, renewAtMs: nowMs + lifeMs - marginMs };
}

function grantBody(text: string): { access_token?: unknown; expires_in?: unknown } | null {
  try {
    return parseJson(text) as { access_token?: unknown; expires_in?: unknown } | null;
  } catch {
    return null;
  }
}

function redacted(text: string, secrets: readonly (string | undefined)[]): string {
  return secrets.reduce<string>(
    (clean, secret) =>
      secret === undefined || secret === '' ? clean : clean.replaceAll(secret, '***'),
    text,
  );
}
