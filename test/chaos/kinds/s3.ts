import type { Action, RequestMatch, Stage } from '../proxy.ts';
import type { Kind, Round } from '../round.ts';

const promise =
  'the upload is tried again, under a name of its own where the first may have landed';

/** One of the uploads of a commit, of either table. */
function anyUpload(round: Round): RequestMatch {
  const table = round.random.chance(0.6) ? 'events' : 'deadLetter';
  const { dataFile, manifest, manifestList } = round.requests;
  const uploads = [dataFile, dataFile, manifest, manifestList];
  return (uploads[round.random.below(uploads.length)] ?? dataFile)(table);
}

/** Strikes uploads of two sorts, some times each, while the pipeline runs on. */
function onUploads(
  kind: Pick<Kind, 'name' | 'does'>,
  at: Stage,
  action: Action,
  timesMax: number,
): Kind {
  return {
    promise,
    ...kind,
    inject: async (round) => {
      await round.startCommitting();
      for (let sort = 0; sort < 2; sort += 1) {
        const times = 1 + round.random.below(timesMax);
        await round.struck(round.arm({ match: anyUpload(round), at, action, times }), times);
      }
      await round.nextCommit(180_000);
    },
  };
}

function error(status: number, code: string): Action {
  return {
    kind: 'answer',
    status,
    body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>made up</Message></Error>`,
    headers: { 'content-type': 'application/xml' },
  };
}

const kinds: readonly Kind[] = [
  onUploads(
    { name: 's3-500', does: 'uploads are answered with 500, unstored' },
    'before',
    error(500, 'InternalError'),
    8,
  ),
  onUploads(
    { name: 's3-500-applied', does: 'uploads are answered with 500, but stored' },
    'applied',
    error(500, 'InternalError'),
    8,
  ),
  onUploads(
    { name: 's3-slow-down', does: 'uploads are answered with 503 SlowDown' },
    'before',
    error(503, 'SlowDown'),
    12,
  ),
  onUploads(
    { name: 's3-reset', does: 'the connections of uploads are reset' },
    'before',
    { kind: 'reset' },
    8,
  ),
  onUploads(
    {
      name: 's3-reset-applied',
      does: 'uploads are stored, and the connection is reset before the answer',
    },
    'applied',
    { kind: 'reset' },
    8,
  ),
  onUploads(
    { name: 's3-cut', does: 'uploads break off in the middle of the file' },
    'before',
    { kind: 'cut' },
    6,
  ),
  {
    name: 's3-hang',
    does: 'an upload is never answered',
    promise: 'the pipeline gives up waiting after two minutes and uploads again',
    inject: async (round) => {
      await round.startCommitting();
      await round.struck(
        round.arm({ match: anyUpload(round), at: 'before', action: { kind: 'hang' } }),
      );
      await round.load.pause();
      await round.nextCommit(180_000);
    },
  },
  {
    name: 's3-reads-fail',
    does: 'reads of manifest lists fail in turns: 500, reset, cut in the middle',
    promise: 'the pipeline waits and goes on',
    inject: async (round) => {
      await round.startCommitting();
      const actions: Action[] = [error(500, 'InternalError'), { kind: 'reset' }, { kind: 'cut' }];
      const match: RequestMatch = { peer: 's3', method: 'GET', path: /\/metadata\/snap-/ };
      for (const action of actions) {
        await round.struck(round.arm({ match, at: 'applied', action, times: 2 }), 2);
      }
      await round.nextCommit();
    },
  },
];

export default kinds;
