import type { Action, RequestMatch, Stage } from '../proxy.ts';
import type { Kind, Round, TableName } from '../round.ts';

const once =
  'after an unknown outcome the commit is looked for; only identical bytes are sent again; it lands once';

function anyTable(round: Round): TableName {
  return round.random.chance(0.7) ? 'events' : 'deadLetter';
}

/** Strikes a few of the commits of one of the tables while the pipeline runs on. */
function onCommits(
  kind: Pick<Kind, 'name' | 'does'> & { promise?: string },
  at: Stage,
  action: Action,
  timesMax = 3,
): Kind {
  return {
    promise: once,
    ...kind,
    inject: async (round) => {
      await round.startCommitting();
      const match = round.requests.commit(anyTable(round));
      const times = 1 + round.random.below(timesMax);
      const rule = round.arm({ match, at, action, from: 1 + round.random.below(2), times });
      await round.struck(rule, times);
      await round.nextCommit(120_000);
    },
  };
}

const errorTypes: Readonly<Record<number, string>> = {
  400: 'BadRequestException',
  409: 'CommitFailedException',
  500: 'CommitStateUnknownException',
  502: 'BadGatewayException',
  503: 'SlowDownException',
  504: 'GatewayTimeoutException',
};

/** An answer in the words of a catalog. */
export function answer(status: number): Action {
  const error = { message: 'made up by the proxy', type: errorTypes[status] ?? '', code: status };
  return {
    kind: 'answer',
    status,
    body: JSON.stringify({ error }),
    headers: { 'content-type': 'application/json' },
  };
}

const stages = [
  ['before', 'and the catalog has seen nothing'],
  ['applied', 'after the catalog has applied it'],
] as const;

const statuses = stages.flatMap(([at, words]) =>
  [400, 409, 500, 502, 503, 504].map((status) =>
    onCommits(
      { name: `catalog-${status}-${at}`, does: `commits are answered with ${status} ${words}` },
      at,
      answer(status),
    ),
  ),
);

const silences = stages.flatMap(([at, words]) => [
  onCommits(
    { name: `catalog-reset-${at}`, does: `the connections of commits are reset ${words}` },
    at,
    { kind: 'reset' },
  ),
  onCommits(
    {
      name: `catalog-hang-${at}`,
      does: `a commit is never answered, ${words}`,
      promise: `the pipeline gives up waiting after a minute; ${once}`,
    },
    at,
    { kind: 'hang' },
    1,
  ),
]);

const deliveries = (['first', 'second'] as const).map((which) =>
  onCommits(
    {
      name: `catalog-twice-${which}`,
      does: `commits reach the catalog twice, and the ${which} answer comes back`,
    },
    'before',
    { kind: 'twice', answer: which },
    5,
  ),
);

const others: Kind[] = [
  onCommits(
    { name: 'catalog-cut-answer', does: 'the answers of commits end in the middle' },
    'applied',
    { kind: 'cut' },
  ),
  onCommits(
    { name: 'catalog-404-bare', does: 'commits meet the 404 page of a proxy that lost its server' },
    'before',
    { kind: 'answer', status: 404, body: 'not here', headers: { 'content-type': 'text/plain' } },
  ),
  onCommits(
    { name: 'catalog-slow', does: 'the answers of commits are three seconds late' },
    'applied',
    { kind: 'delay', ms: 3_000 },
  ),
  {
    name: 'catalog-loads-fail',
    does: 'loads of the tables fail in turns: 500, reset, an answer cut in the middle',
    promise: 'the pipeline waits and goes on',
    inject: async (round) => {
      await round.startCommitting();
      const actions: Action[] = [answer(500), { kind: 'reset' }, { kind: 'cut' }];
      for (const action of actions) {
        const match = round.requests.loadTable(anyTable(round));
        const rule = round.arm({ match, at: 'applied', action, times: 2 });
        await round.struck(rule);
      }
      await round.nextCommit();
    },
  },
];

/** The catalog of the stack asks for no token; a proxy that refuses one is all that the client sees of expiry. */
function expiry(status: 401 | 419): Kind {
  return {
    name: `catalog-${status}`,
    does: `commits and loads are refused with ${status}: the token has expired`,
    promise: 'another token is fetched and the identical bytes are sent again',
    inject: async (round) => {
      await round.configure((config) => {
        config.catalog['oauth2'] = { client_id: 'chaos', client_secret: 'of-no-use' };
      });
      const tokens: RequestMatch = { peer: 'catalog', method: 'POST', path: /\/oauth\/tokens/ };
      await round.startCommitting();
      const before = round.proxy.count(tokens);
      for (const table of ['events', 'deadLetter'] as const) {
        for (const match of [round.requests.commit(table), round.requests.loadTable(table)]) {
          await round.struck(round.arm({ match, at: 'before', action: answer(status) }));
        }
      }
      await round.nextCommit();
      const fetched = round.proxy.count(tokens) - before;
      if (fetched < 4) throw new Error(`${fetched} tokens were fetched, not 4`);
    },
  };
}

const kinds: readonly Kind[] = [
  ...statuses,
  ...silences,
  ...deliveries,
  ...others,
  expiry(401),
  expiry(419),
];

export default kinds;
