import { EXIT } from '../cli/exit-code.ts';
import { runBench, tell } from './command.ts';
import { prepareClicks, prepareDimensions, sizeOf } from './data/data-set.ts';

const USAGE = `usage: node bench/fill.ts [--rows N] [--clicks N]

Fills the topics that the benches of these sizes read, so that no bench has to wait for them: --rows users and devices
together, a url for each 100 of them, and --clicks clicks by Zipf's law and as many on keys drawn alike. Topics that are
full are left alone. Says of each topic how fast it was filled and what a record takes.`;

await runBench({
  usage: USAGE,
  defaults: { rows: 1_000_000, clicks: 4_000_000 },
  least: 1,
  measure: async ({ rows, clicks: count }) => {
    const dataSet = await prepareDimensions({ size: sizeOf(rows), progress: tell });
    for (const skew of ['zipf', 'uniform'] as const) {
      await prepareClicks({ dataSet, clicks: { count, skew }, progress: tell });
    }
    return EXIT.ok;
  },
});
