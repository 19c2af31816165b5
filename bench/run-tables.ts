import { openCatalog, openTableStore } from '../cli/open-lake.ts';
import { verify } from '../cli/verify.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { isSound, renderReport } from '../verify/report.ts';
import { tell } from './command.ts';

/**
 * A fast wrong answer is no answer: every offset once and, where the clicks were written down, each as it was
 * produced.
 */
export async function verifyRun(run: { pipelineFile: string; ledger?: string }): Promise<boolean> {
  const { pipelineFile, ledger } = run;
  const reports = await verify({
    config: pipelineFile,
    contracts: 'schemas',
    ...(ledger === undefined ? {} : { ledger }),
  });
  for (const report of reports) {
    tell(isSound(report) ? `ok      ${report.title}` : renderReport(report));
  }
  return reports.every(isSound);
}

/** Drops the tables of a run and deletes their files. */
export async function dropTables(config: PipelineConfig): Promise<void> {
  const { namespace, name, deadLetterName } = config.table;
  const catalog = await openCatalog(config);
  for (const table of [name, deadLetterName]) {
    const location = (await catalog.loadTable({ namespace, name: table }))?.metadata.location;
    if (location === undefined) continue;
    await catalog.dropTable({ namespace, name: table });
    const { store, close } = openTableStore(config, location);
    for await (const object of store.list(`${location}/`)) await store.delete(object.location);
    close();
  }
}
