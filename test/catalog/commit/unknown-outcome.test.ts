import { describe, expect, test } from 'vitest';
import { commitAppend } from '../../../catalog/commit/commit-append.ts';
import type { Catalog } from '../../../catalog/rest/catalog.ts';
import {
  createAppendBench,
  landedRanges,
  recordSteps,
  liveRows,
  errorOf,
  kindOf,
  failingSends,
  loadsFailing,
  staleOnce,
  foreignAppend,
} from './append-bench.ts';

const FIRST = { start: 0, end: 10 };
const IMPATIENT = { attemptsMax: 5, unknownWaitMsMax: 0, backoffMsMax: 1_000 };

describe('unknown outcome (INVARIANTS.md 4)', () => {
  test.each(['apply-then-fail', 'fail', 'delay'] as const)(
    '%s: the range lands once',
    async (fault) => {
      const bench = await createAppendBench();
      bench.faults = [fault];
      const outcome = await commitAppend(bench.options('c1', FIRST));
      bench.catalog.deliverDelayed();
      expect(outcome.kind).toBe('landed');
      expect(landedRanges(await bench.load())).toEqual(['0-10']);
      expect(await liveRows(bench)).toBe(10n);
    },
  );

  test('applied, the answer lost: found by reading, nothing is sent again', async () => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    bench.faults = ['apply-then-fail'];
    await commitAppend(bench.options('c1', FIRST, { onEvent }));
    expect(bench.sent).toHaveLength(1);
    expect(steps).toEqual(['unknown-outcome', 'landed-elsewhere']);
  });

  test('while main stands still, only the identical bytes are sent again', async () => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    bench.faults = ['fail', 'fail', 'delay', 'fail'];
    await commitAppend(bench.options('c1', FIRST, { onEvent }));
    expect(bench.sent).toHaveLength(5);
    expect(new Set(bench.sent)).toHaveLength(1);
    expect(steps.filter((step) => step === 'resend')).toHaveLength(4);
    expect(steps).not.toContain('rebase');
  });

  test('the delayed first copy lands before the resend, which is refused: landed', async () => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    bench.faults = ['delay', 'apply'];
    let reads = 0;
    let delivered = 0;
    const catalog: Catalog = {
      ...bench.catalog,
      loadTable: async (identifier) => {
        const loaded = await bench.catalog.loadTable(identifier);
        reads += 1;
        // Between the read that shows main unmoved and the resend.
        if (reads === 2) delivered = bench.catalog.deliverDelayed();
        return loaded;
      },
    };
    const outcome = await commitAppend(bench.options('c1', FIRST, { catalog, onEvent }));
    expect(outcome.kind).toBe('landed');
    expect(delivered).toBe(1);
    expect(new Set(bench.sent)).toHaveLength(1);
    expect(bench.sent).toHaveLength(2);
    expect(steps).toEqual(['unknown-outcome', 'resend', 'landed-elsewhere']);
  });

  test('main moved by others: the append moves on, and the late first copy is void', async () => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    bench.faults = ['delay'];
    bench.onSleep = async () => {
      bench.onSleep = undefined;
      await foreignAppend(bench, 'other');
    };
    const outcome = await commitAppend(bench.options('c1', FIRST, { onEvent }));
    expect(outcome).toMatchObject({ kind: 'committed', attempts: 2 });
    expect(steps).toEqual(['unknown-outcome', 'rebase']);
    expect(new Set(bench.sent)).toHaveLength(3);
    expect(bench.catalog.deliverDelayed()).toBe(0);
    expect(landedRanges(await bench.load())).toEqual(['-', '0-10']);
  });

  test('main moved by a rival that took the range: dropped', async () => {
    const bench = await createAppendBench();
    bench.faults = ['delay'];
    bench.onSleep = async () => {
      bench.onSleep = undefined;
      await commitAppend(bench.options('rival', FIRST));
    };
    const outcome = await commitAppend(bench.options('c1', FIRST));
    expect(outcome.kind).toBe('dropped');
    expect(bench.catalog.deliverDelayed()).toBe(0);
    expect(landedRanges(await bench.load())).toEqual(['0-10']);
  });

  test('a server that never accepts the request is given up on after the bound', async () => {
    const bench = await createAppendBench();
    bench.faults = Array<'fail'>(1000).fill('fail');
    const error = await errorOf(commitAppend(bench.options('c1', FIRST)));
    expect(error).toMatchObject({
      kind: 'commit-unknown',
      context: { commitId: 'c1' },
      cause: { message: 'no answer to the commit to shop.clicks' },
    });
    const sleptMs = bench.clock.sleptMs.reduce((sum, ms) => sum + ms, 0);
    expect(sleptMs).toBeLessThanOrEqual(10_000);
    expect(bench.sent.length).toBeLessThan(30);
    expect(new Set(bench.sent)).toHaveLength(1);
  });

  test('the wait is bounded by the sleeping itself, whatever the clock says', async () => {
    const bench = await createAppendBench();
    bench.faults = Array<'fail'>(1000).fill('fail');
    const options = bench.options('c1', FIRST);
    const clock = { ...options.clock, elapsedMs: () => 0, sleep: async () => undefined };
    expect(await kindOf(commitAppend({ ...options, clock }))).toBe('commit-unknown');
  });

  test('a clock that is set an hour ahead meanwhile does not end the wait', async () => {
    const bench = await createAppendBench();
    bench.faults = ['fail', 'fail'];
    const options = bench.options('c1', FIRST);
    const jumping = {
      ...options.clock,
      nowMs: () => bench.clock.now + 3_600_000 * bench.sent.length,
    };
    expect((await commitAppend({ ...options, clock: jumping })).kind).toBe('landed');
  });

  test('a second call after commit-unknown finds the late copy that arrived before it', async () => {
    const bench = await createAppendBench();
    bench.faults = ['delay'];
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { limits: IMPATIENT })))).toBe(
      'commit-unknown',
    );
    expect(bench.catalog.deliverDelayed()).toBe(1);
    expect((await commitAppend(bench.options('c1', FIRST))).kind).toBe('landed');
    expect(await liveRows(bench)).toBe(10n);
  });

  test('a second call after commit-unknown makes the copy that arrives later void', async () => {
    const bench = await createAppendBench();
    bench.faults = ['delay'];
    expect(await kindOf(commitAppend(bench.options('c1', FIRST, { limits: IMPATIENT })))).toBe(
      'commit-unknown',
    );
    expect((await commitAppend(bench.options('c1', FIRST))).kind).toBe('committed');
    expect(bench.catalog.deliverDelayed()).toBe(0);
    expect(landedRanges(await bench.load())).toEqual(['0-10']);
    expect(await liveRows(bench)).toBe(10n);
  });

  test('however many calls ended so, the next one can commit', async () => {
    const bench = await createAppendBench();
    for (let call = 0; call < 40; call++) {
      bench.faults = ['fail'];
      const options = bench.options('c1', FIRST, { limits: IMPATIENT });
      expect(await kindOf(commitAppend(options))).toBe('commit-unknown');
    }
    expect((await commitAppend(bench.options('c1', FIRST))).kind).toBe('committed');
    expect(await liveRows(bench)).toBe(10n);
  });

  test('the late copy overtakes the second call: refused, then found', async () => {
    const bench = await createAppendBench();
    bench.faults = ['delay'];
    await errorOf(commitAppend(bench.options('c1', FIRST, { limits: IMPATIENT })));
    const stale = { ...bench.catalog, loadTable: staleOnce(bench, await bench.load()) };
    bench.catalog.deliverDelayed();
    const outcome = await commitAppend(bench.options('c1', FIRST, { catalog: stale }));
    expect(outcome.kind).toBe('landed');
    expect(await liveRows(bench)).toBe(10n);
  });

  test('while the table cannot be read, nothing is sent', async () => {
    const bench = await createAppendBench();
    bench.faults = ['apply-then-fail'];
    let failures = 4;
    const catalog = loadsFailing(bench.catalog, () => bench.sent.length > 0 && (failures -= 1) > 0);
    expect((await commitAppend(bench.options('c1', FIRST, { catalog }))).kind).toBe('landed');
    expect(bench.sent).toHaveLength(1);
  });

  test.each([
    ['an unreadable answer', 'corrupt'],
    ['a refused connection', 'unavailable'],
    ['an error that is none of ours', new TypeError('terminated')],
  ] as const)('%s is an unknown outcome', async (_name, failure) => {
    const bench = await createAppendBench();
    const { steps, onEvent } = recordSteps();
    const catalog = failingSends(bench.catalog, [failure]);
    const outcome = await commitAppend(bench.options('c1', FIRST, { catalog, onEvent }));
    expect(outcome.kind).toBe('landed');
    expect(steps).toEqual(['unknown-outcome', 'resend', 'landed-elsewhere']);
  });
});
