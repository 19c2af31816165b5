/**
 * Why a broker let nobody in. `refused` does not pass by itself: somebody has to change what `remedy` names. With
 * `no-answer` the broker closed the connection or kept silent, as it does to clients that lack TLS or a user, and as
 * it does while it stops.
 */
export type AccessFault = { kind: 'refused' | 'no-answer'; reason: string; remedy: string };

/** Source: Node's documentation of TLS, "X509 certificate error codes", and `ERR_TLS_CERT_ALTNAME_INVALID`. */
const CERTIFICATE_REFUSED: ReadonlySet<unknown> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'HOSTNAME_MISMATCH',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);
const CHECK_CERTIFICATE =
  'check the certificate of the broker: NODE_EXTRA_CA_CERTS names the file of an authority of your own, ' +
  'and kafka.brokers must name hosts as their certificates do';

/** Codes of Kafka's protocol: UNSUPPORTED_SASL_MECHANISM, SASL_AUTHENTICATION_FAILED. */
const USER_REFUSED: ReadonlySet<unknown> = new Set([33, 58]);
/** ILLEGAL_SASL_STATE: to a user the answer of a listener that takes none, elsewhere a request that came at a bad time. */
const BAD_TIME = 34;
const CHECK_USER =
  'check mechanism, username and password of kafka.sasl, and that the listener takes users';

const CHECK_LISTENER = 'where the listener wants TLS or a user, set kafka.tls and kafka.sasl';

/** Finds what an error of @platformatic/kafka or of kafkajs says about it; undefined where it is about something else. */
export function findAccessFault(error: unknown): AccessFault | undefined {
  const parts = partsOf(error);
  const loggedIn = !parts.some(({ code }) => code === 'PLT_KFK_AUTHENTICATION');
  const find = (kind: AccessFault['kind'], matches: (part: Part) => boolean, remedy: string) => {
    const part = parts.find(matches);
    return part && { kind, reason: part.message.replace(/\.$/, ''), remedy };
  };
  return (
    find('refused', ({ code }) => CERTIFICATE_REFUSED.has(code), CHECK_CERTIFICATE) ??
    find('refused', isUserRefused, CHECK_USER) ??
    find('refused', ({ apiCode }) => apiCode === BAD_TIME && !loggedIn, CHECK_USER) ??
    find('no-answer', isUnanswered, CHECK_LISTENER)
  );
}

type Part = Error & { code?: unknown; apiCode?: unknown };

/** An error with all that it was caused by; both clients wrap what the socket and the broker said. */
function partsOf(error: unknown, depth = 0): Part[] {
  if (!(error instanceof Error) || depth === 10) return [];
  const below: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [error, ...[error.cause, ...below].flatMap((part) => partsOf(part, depth + 1))];
}

function isUserRefused({ name, code, apiCode }: Part): boolean {
  return name === 'KafkaJSSASLAuthenticationError' || USER_REFUSED.has(apiCode ?? code);
}

/** @platformatic/kafka names a cause where the network has one. */
function isUnanswered({ name, code, cause }: Part): boolean {
  if (name === 'KafkaJSConnectionClosedError' || code === 'ECONNRESET') return true;
  return code === 'PLT_KFK_NETWORK' && cause === undefined;
}
