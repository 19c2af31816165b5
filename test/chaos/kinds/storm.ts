import type { Action, RequestMatch, Stage } from '../proxy.ts';
import type { Kind, Round } from '../round.ts';

function pick<T>(values: readonly [T, ...T[]], { random }: Round): T {
  return values[random.below(values.length)] ?? values[0];
}

/** A fault of any sort at any request of any peer; none that costs a minute's wait. */
function armAny(round: Round): void {
  const at = pick<Stage>(['before', 'applied'], round);
  if (round.random.chance(0.2)) {
    const method = pick(['Fetch', 'OffsetCommit', 'Metadata', 'ListOffsets', 'Heartbeat'], round);
    const action = pick<Action>([{ kind: 'reset' }, { kind: 'delay', ms: 500 }], round);
    round.arm({ match: { peer: 'kafka', method }, at, action });
    return;
  }
  const { requests } = round;
  const table = pick(['events', 'deadLetter'] as const, round);
  const match = pick<RequestMatch>(
    [
      requests.commit(table),
      requests.commit(table),
      requests.loadTable(table),
      requests.dataFile(table),
      requests.manifest(table),
      requests.manifestList(table),
      { peer: 's3', method: 'GET' },
      { peer: 'registry' },
    ],
    round,
  );
  const always: [Action, ...Action[]] = [
    { kind: 'answer', status: 500 },
    { kind: 'answer', status: 503 },
    { kind: 'reset' },
    { kind: 'cut' },
    { kind: 'delay', ms: 700 },
  ];
  const twice: Action = { kind: 'twice', answer: pick(['first', 'second'], round) };
  const isWrite = match.method !== 'GET' && match.peer !== 'registry';
  round.arm({
    match,
    at,
    action: pick(at === 'before' && isWrite ? [...always, twice] : always, round),
  });
}

async function storm(round: Round, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    armAny(round);
    round.mustBeAlive();
    await round.sleep(50 + round.random.below(250));
  }
}

const kinds: readonly Kind[] = [
  {
    name: 'storm',
    does: 'eighty faults of all sorts, at random requests of catalog, store, registry and Kafka',
    promise: 'the pipeline never stops, and goes on when the storm is over',
    inject: async (round) => {
      await round.startCommitting();
      await storm(round, 80);
      round.proxy.clear();
      await round.nextCommit(90_000);
    },
  },
  {
    name: 'storm-with-kills',
    does: 'the same, with a kill -9 every few seconds',
    promise: 'the next process goes on from what the table says',
    inject: async (round) => {
      for (let life = 0; life < 4; life += 1) {
        const pipeline = await round.start();
        await storm(round, 10 + round.random.below(20));
        await pipeline.stop('SIGKILL');
      }
      round.proxy.clear();
    },
  },
  {
    name: 'storm-two-groups',
    does: 'the same over two pipelines of one name in different groups',
    promise: 'of two commits of one range one lands',
    inject: async (round) => {
      const config = await round.variant((edited) => {
        edited.kafka.group += '-2';
      });
      await Promise.all([round.start(), round.start({ config, state: 'state-2' })]);
      await storm(round, 80);
      round.proxy.clear();
      await round.nextCommit(90_000);
    },
  },
  {
    name: 'frozen-alone',
    does: 'SIGSTOP at a random moment for longer than the session of the group, then SIGCONT',
    promise: 'it joins its group again and goes on',
    inject: async (round) => {
      const pipeline = await round.startCommitting();
      await round.sleep(round.random.below(2_000));
      process.kill(pipeline.pid, 'SIGSTOP');
      await round.load.pause();
      await round.sleep(40_000);
      process.kill(pipeline.pid, 'SIGCONT');
      round.load.resume();
      await round.nextCommit();
    },
  },
  {
    name: 'kill-while-stopping',
    does: 'SIGTERM, and kill -9 while it commits what it holds, three times over',
    promise: 'the next process goes on from what the table says',
    inject: async (round) => {
      for (let life = 0; life < 3; life += 1) {
        const pipeline = await round.startCommitting();
        const ended = pipeline.stop('SIGTERM');
        await round.sleep(round.random.below(150));
        await pipeline.stop('SIGKILL');
        await ended;
      }
    },
  },
  {
    name: 'stop-and-start',
    does: 'SIGTERM at a random moment and a new process, four times over',
    promise: 'it commits what it holds and ends with 0',
    inject: async (round) => {
      for (let life = 0; life < 4; life += 1) {
        const pipeline = await round.start();
        await pipeline.ready();
        await round.sleep(round.random.below(2_500));
        const code = await pipeline.stop('SIGTERM');
        if (code !== 0) throw new Error(`SIGTERM ended it with ${code}\n${pipeline.output()}`);
      }
    },
  },
];

export default kinds;
