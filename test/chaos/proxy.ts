import { openHttpProxy } from './proxy-http.ts';
import { openKafkaProxy } from './proxy-kafka.ts';

/** The peers of a pipeline process that a proxy can stand before. */
export type Peer = 'catalog' | 's3' | 'registry' | 'kafka';

/**
 * One request on its way. For HTTP the method and the path with its query; for Kafka the API's name
 * (`Fetch`, `OffsetCommit`, ...) and no path.
 */
export type Exchange = { readonly peer: Peer; readonly method: string; readonly path: string };

/**
 * Where a rule strikes: `before` the request is passed on; `applied`, once the peer has answered and before
 * the client hears of it; `answered`, once the client has been sent the whole answer.
 */
export type Stage = 'before' | 'applied' | 'answered';

/**
 * What is done to a request.
 * - `answer` (HTTP): this answer in place of the peer's. At `before` the peer never sees the request.
 * - `reset`: the connection is reset. `hang`: never an answer, the connection stays open.
 * - `delay`: goes on after a while.
 * - `twice` (HTTP, at `before`): the peer gets the request twice, one after the other; the client one of the answers.
 * - `cut` (HTTP): half of the body (of the request at `before`, of the answer at `applied`), then a reset.
 * - `call`: the runner does what it likes, kill -9 say, while the request is held; then it goes on, or with
 *   `'drop'` ends as by `reset`.
 */
export type Action =
  | { kind: 'answer'; status: number; body?: string; headers?: Readonly<Record<string, string>> }
  | { kind: 'reset' }
  | { kind: 'hang' }
  | { kind: 'delay'; ms: number }
  | { kind: 'twice'; answer: 'first' | 'second' }
  | { kind: 'cut' }
  | { kind: 'call'; call: (exchange: Exchange) => Promise<Verdict> | Verdict };

type Verdict = 'drop' | 'go-on' | void;

/** Which requests; what is left out matches all. */
export type RequestMatch = { peer: Peer; method?: string; path?: RegExp };

export type Rule = {
  match: RequestMatch;
  at: Stage;
  action: Action;
  /** Strikes from the n-th matching request on; the first by default. */
  from?: number;
  /** How often it strikes; once by default. */
  times?: number;
};

export type ArmedRule = {
  hits: () => number;
  remove: () => void;
};

/** Stands between one or more pipeline processes and the four peers, and fails as its rules say. */
export type FaultProxy = {
  /** Addresses to give to a pipeline: environment variables of pipeline.yaml. */
  readonly env: Readonly<Record<string, string>>;
  arm: (rule: Rule) => ArmedRule;
  /** From now on nothing gets through to the peer: connections are reset and refused; `admit` ends that. */
  refuse: (peer: Peer) => void;
  admit: (peer: Peer) => void;
  /** Resets the connections to a peer; new ones are taken. */
  drop: (peer: Peer) => void;
  /** Removes every rule; what hangs goes on hanging. */
  clear: () => void;
  /** Requests that have come for it so far. */
  count: (match: RequestMatch) => number;
  close: () => Promise<void>;
};

/** What a proxy of one protocol asks at each stage of each request. */
export type Judge = {
  /** Counts a request and gives what strikes it, by stage. */
  take: (exchange: Exchange) => (stage: Stage) => Action | undefined;
};

/** The listener of one peer. */
export type PeerProxy = {
  readonly port: number;
  setRefusing: (refusing: boolean) => void;
  /** Resets every connection. */
  drop: () => void;
  close: () => Promise<void>;
};

export type PeerAddresses = {
  catalogUri: string;
  s3Endpoint: string;
  registryUrl: string;
  kafkaBroker: string;
};

type Armed = Rule & { seen: number; hits: number };

/** Opens the four listeners on free ports of loopback. */
export async function openFaultProxy(peers: PeerAddresses): Promise<FaultProxy> {
  const rules = new Set<Armed>();
  const seen: Exchange[] = [];
  const judge: Judge = {
    take: (exchange) => {
      seen.push(exchange);
      return judgeOf(rules, exchange);
    },
  };
  const listeners: Record<Peer, PeerProxy> = {
    catalog: await openHttpProxy('catalog', peers.catalogUri, judge),
    s3: await openHttpProxy('s3', peers.s3Endpoint, judge),
    registry: await openHttpProxy('registry', peers.registryUrl, judge),
    kafka: await openKafkaProxy(peers.kafkaBroker, judge),
  };
  const all = Object.values(listeners);
  return {
    env: {
      CATALOG_URI: `http://127.0.0.1:${listeners.catalog.port}`,
      S3_ENDPOINT: `http://127.0.0.1:${listeners.s3.port}`,
      SCHEMA_REGISTRY_URL: movedTo(listeners.registry.port, peers.registryUrl),
      KAFKA_BROKERS: `127.0.0.1:${listeners.kafka.port}`,
    },
    arm: (rule) => arm(rules, rule),
    refuse: (peer) => {
      listeners[peer].setRefusing(true);
      listeners[peer].drop();
    },
    admit: (peer) => listeners[peer].setRefusing(false),
    drop: (peer) => listeners[peer].drop(),
    clear: () => rules.clear(),
    count: (match) => seen.filter((exchange) => matches(match, exchange)).length,
    close: async () => {
      await Promise.all(all.map((listener) => listener.close()));
    },
  };
}

function movedTo(port: number, url: string): string {
  const moved = new URL(url);
  moved.hostname = '127.0.0.1';
  moved.port = String(port);
  return moved.href;
}

function arm(rules: Set<Armed>, rule: Rule): ArmedRule {
  const armed: Armed = { ...rule, seen: 0, hits: 0 };
  rules.add(armed);
  return { hits: () => armed.hits, remove: () => void rules.delete(armed) };
}

/** A request counts for a rule once, as it comes in; the rule strikes it at its own stage. */
function judgeOf(rules: ReadonlySet<Armed>, exchange: Exchange) {
  const due = [...rules].filter((rule) => {
    if (!matches(rule.match, exchange)) return false;
    rule.seen += 1;
    return rule.seen >= (rule.from ?? 1);
  });
  return (stage: Stage): Action | undefined => {
    const rule = due.find(
      (one) => rules.has(one) && one.at === stage && one.hits < (one.times ?? 1),
    );
    if (rule === undefined) return undefined;
    rule.hits += 1;
    return rule.action;
  };
}

function matches({ peer, method, path }: RequestMatch, exchange: Exchange): boolean {
  return (
    exchange.peer === peer &&
    (method === undefined || exchange.method === method) &&
    (path === undefined || path.test(exchange.path))
  );
}
