import { failureOf, isPassing, requestFailureKind } from './failure.ts';
import { createTokenSource, type RestCredentials } from './token.ts';
import type { CatalogError } from '../error.ts';
import {
  exchange,
  type HttpAnswer,
  type HttpOutcome,
  type HttpRequest,
  type Transport,
} from './transport.ts';

/** The bounds of the client, each for one request but `readAttemptsMax`. */
export type RestLimits = {
  requestTimeoutMsMax: number;
  commitTimeoutMsMax: number;
  /** How often a read is sent before it counts as failed. */
  readAttemptsMax: number;
  /** The longest pause between two attempts of a read. */
  backoffMsMax: number;
};

/** Generous for a healthy server, short enough that a hung one is noticed. */
export const REST_LIMITS_DEFAULT: RestLimits = {
  requestTimeoutMsMax: 30_000,
  commitTimeoutMsMax: 60_000,
  readAttemptsMax: 5,
  backoffMsMax: 5_000,
};

const BACKOFF_MS_MIN = 100;

/** A request without what the session adds: authorisation and content type. */
export type SessionRequest = Pick<HttpRequest, 'method' | 'url' | 'timeoutMsMax'> & {
  body?: Uint8Array<ArrayBuffer>;
};

/** Exchanges with one catalog server, authorised as its credentials say. */
export interface Session {
  /**
   * Sends once. A token that the server refuses (401, 419) is renewed, and the identical bytes are
   * sent once more. Any status and any silence is an outcome, not an error.
   * Errors: only those of getting a token.
   */
  send(request: SessionRequest): Promise<HttpOutcome>;
  /**
   * Sends until there is a lasting answer, at most `readAttemptsMax` times with a jittered pause in
   * between. For requests that change nothing, or nothing more when they come twice.
   */
  sendUntilAnswered(request: SessionRequest): Promise<HttpOutcome>;
  /** The error for an outcome that the caller did not hope for; `doing` says what was tried. */
  failure(kind: CatalogError['kind'], outcome: HttpOutcome, doing: string): CatalogError;
}

/** Opens nothing yet: the first request gets the first token. */
export function createSession(options: {
  credentials: RestCredentials;
  catalogUri: string;
  limits: RestLimits;
  transport: Transport;
}): Session {
  const { limits, transport } = options;
  const tokens = createTokenSource(options);

  const sendWith = (request: SessionRequest, token: string | undefined): Promise<HttpOutcome> =>
    exchange(transport, {
      ...request,
      headers: {
        accept: 'application/json',
        ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });

  const send = async (request: SessionRequest): Promise<HttpOutcome> => {
    const token = await tokens.token();
    const outcome = await sendWith(request, token);
    if (!refusesToken(outcome) || !(await tokens.renew(token))) return outcome;
    return sendWith(request, await tokens.token());
  };

  return {
    send,
    async sendUntilAnswered(request) {
      for (let attempt = 1; ; attempt += 1) {
        const outcome = await send(request);
        if (!isPassing(outcome) || attempt >= limits.readAttemptsMax) return outcome;
        await transport.sleep(pauseMs(attempt, limits.backoffMsMax, transport.random()));
      }
    },
    failure: (kind, outcome, doing) =>
      failureOf(kind, outcome, { doing, redact: (text) => tokens.redact(text) }),
  };
}

/** The answer of a request that must have succeeded; throws its failure otherwise. */
export function expectSuccess(
  session: Session,
  outcome: HttpOutcome,
  doing: string,
  kindOf: (outcome: HttpOutcome) => CatalogError['kind'] = requestFailureKind,
): HttpAnswer {
  const isSuccess = outcome.kind === 'answer' && outcome.status >= 200 && outcome.status < 300;
  if (isSuccess) return outcome;
  throw session.failure(kindOf(outcome), outcome, doing);
}

function refusesToken(outcome: HttpOutcome): boolean {
  return outcome.kind === 'answer' && (outcome.status === 401 || outcome.status === 419);
}

/** Doubles with each attempt; a random half of it keeps clients apart that failed together. */
function pauseMs(attempt: number, backoffMsMax: number, random: number): number {
  const ceilingMs = Math.min(backoffMsMax, BACKOFF_MS_MIN * 2 ** (attempt - 1));
  return Math.round(ceilingMs * (0.5 + random / 2));
}
