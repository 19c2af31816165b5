import type { RequestMatch, Stage } from '../proxy.ts';
import type { Kind, Requests, Round, TableName } from '../round.ts';

const promise = 'the next process goes on from what the table says';

type Point = {
  name: string;
  does: string;
  at: Stage;
  request: (requests: Requests) => RequestMatch;
};

/** kill -9 while one request of a pipeline that has committed before is held at a stage. */
function killAt({ name, does, at, request }: Point): Kind {
  return {
    name,
    does: `kill -9 ${does}`,
    promise,
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      const from = 1 + round.random.below(3);
      await round.strike({ match: request(round.requests), at, from }, async () => {
        await pipeline.stop('SIGKILL');
        return at === 'before' ? 'drop' : undefined;
      });
    },
  };
}

const stageWords: Record<Stage, string> = {
  before: 'right before',
  applied: 'after it has taken effect, unanswered:',
  answered: 'right after',
};

/** The steps of one commit, in their order. */
const steps = [
  ['data-file', 'the upload of a data file', (r: Requests, t: TableName) => r.dataFile(t)],
  ['manifest', 'the upload of the manifest', (r: Requests, t: TableName) => r.manifest(t)],
  ['manifest-list', 'the upload of the manifest list', (r, t) => r.manifestList(t)],
  ['commit', 'the commit', (r: Requests, t: TableName) => r.commit(t)],
] as const satisfies readonly [
  string,
  string,
  (requests: Requests, table: TableName) => RequestMatch,
][];

const tables = [
  { table: 'events', short: 'events', of: 'of the events table' },
  { table: 'deadLetter', short: 'rejects', of: 'of the dead-letter table' },
] as const;

const inTheCommit = tables.flatMap(({ table, short, of }) =>
  steps.flatMap(([step, what, request]) =>
    (['before', 'applied', ...(step === 'commit' ? (['answered'] as const) : [])] as const).map(
      (at) =>
        killAt({
          name: `kill-${short}-${step}-${at}`,
          does: `${stageWords[at]} ${what} ${of}`,
          at,
          request: (requests) => request(requests, table),
        }),
    ),
  ),
);

const aroundIt = [
  killAt({
    name: 'kill-events-load-before',
    does: 'when the files are uploaded and the events table is about to be loaded',
    at: 'before',
    request: (requests) => requests.loadTable('events'),
  }),
  killAt({
    name: 'kill-events-load-answered',
    does: 'when the events table has been loaded for a commit',
    at: 'answered',
    request: (requests) => requests.loadTable('events'),
  }),
  killAt({
    name: 'kill-between-tables',
    does: 'between the commit of the events table and that of its rejects',
    at: 'before',
    request: (requests) => requests.loadTable('deadLetter'),
  }),
  killAt({
    name: 'kill-group-offsets-before',
    does: 'right before the group offsets are stored',
    at: 'before',
    request: (requests) => requests.storeGroupOffsets,
  }),
  killAt({
    name: 'kill-group-offsets-applied',
    does: 'when the group offsets are stored, unanswered',
    at: 'applied',
    request: (requests) => requests.storeGroupOffsets,
  }),
];

/** Kills the first process of a round while it starts. */
function killFirst(
  name: string,
  does: string,
  point: (round: Round) => Omit<Point, 'name' | 'does'>,
): Kind {
  return {
    name,
    does: `kill -9 ${does}`,
    promise,
    inject: async (round) => {
      const { at, request } = point(round);
      const from = 1 + round.random.below(2);
      const armed = round.strike({ match: request(round.requests), at, from }, () =>
        Promise.all(round.pipelines().map((pipeline) => pipeline.stop('SIGKILL'))),
      );
      await round.start();
      await armed;
    },
  };
}

const starting: Kind[] = [
  killFirst('kill-create-table', 'when a table has just been created, unanswered', () => ({
    at: 'applied',
    request: () => ({ peer: 'catalog', method: 'POST', path: /\/namespaces\/lake\/tables$/ }),
  })),
  {
    name: 'kill-initial-load',
    does: 'kill -9 while the dimensions are read for the first time, five times over',
    promise: 'no click is joined before every dimension has been read',
    inject: async (round) => {
      for (let kill = 0; kill < 5; kill += 1) {
        const from = 1 + round.random.below(12);
        const reading = round.strike({ match: round.requests.fetch, at: 'applied', from }, () =>
          Promise.all(round.pipelines().map((pipeline) => pipeline.stop('SIGKILL'))),
        );
        await round.start();
        await reading;
      }
    },
  },
  {
    name: 'kill-projection-rebuild',
    does: 'kill -9 while the state on disk is opened and its projection rebuilt, four times over',
    promise,
    inject: async (round) => {
      const first = await round.startCommitting();
      await first.stop('SIGKILL');
      for (let kill = 0; kill < 4; kill += 1) {
        const waitMs = round.random.below(120);
        const opening = round.strike({ match: round.requests.catalogConfig, at: 'answered' }, () =>
          round.sleep(waitMs),
        );
        const pipeline = await round.start();
        await opening;
        await pipeline.stop('SIGKILL');
      }
    },
  },
];

const atRandom: Kind = {
  name: 'kill-at-random',
  does: 'kill -9 at a random moment, four times over',
  promise,
  inject: async (round) => {
    for (let kill = 0; kill < 4; kill += 1) {
      const pipeline = await round.start();
      if (round.random.chance(0.7)) await pipeline.ready();
      await round.sleep(round.random.below(3_000));
      await pipeline.stop('SIGKILL');
    }
  },
};

const kinds: readonly Kind[] = [...inTheCommit, ...aroundIt, ...starting, atRandom];

export default kinds;
