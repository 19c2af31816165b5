import { openCatalog } from '../cli/open-lake.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { recordedCommits } from '../verify/recorded.ts';
import { openCommitLookup } from '../verify/verify-joins.ts';
import type { Expectation } from './compare-rows.ts';
import { clickIndexOf, openClickModel } from './data/click-model.ts';
import { CLICK_PARTITIONS, type ClickSet, type DataSet } from './data/data-set.ts';
import type { RowChanges } from './data/row-changes.ts';

/**
 * What has to be in the table of a run whose rows were changed meanwhile: each click joined with the rows as of the
 * dimension positions that its commit records. To be called after the last commit. Errors: those of the catalog.
 */
export async function expectedAtCommit(options: {
  config: PipelineConfig;
  dataSet: DataSet;
  clicks: ClickSet;
  changes: Pick<RowChanges, 'rowAt'>;
}): Promise<Expectation> {
  const { config, dataSet, clicks, changes } = options;
  const { seed, size } = dataSet;
  const { namespace, name } = config.table;
  const loaded = await (await openCatalog(config)).loadTable({ namespace, name });
  const commits = loaded === undefined ? [] : recordedCommits(loaded.metadata, config.pipeline);
  const commitOf = openCommitLookup(commits);
  const model = openClickModel({ seed, size, skew: clicks.skew });
  return {
    count: clicks.count,
    indexOf: (place) => clickIndexOf(place, { partitions: CLICK_PARTITIONS, firstOffset: 0n }),
    click: (index) => model.at(index),
    joined: (table, key, { partition, offset }) => {
      const commit = commits[commitOf(partition, offset) ?? -1];
      return changes.rowAt(table, key, commit?.dimensions.get(table)?.next ?? new Map());
    },
  };
}
