import { openCatalog } from '../cli/open-lake.ts';
import { verify } from '../cli/verify.ts';
import type { PipelineConfig } from '../enrich/config/pipeline-config.ts';
import { isSound, renderReport } from '../verify/report.ts';
import { tell } from './command.ts';

/** A fast wrong answer is no answer: every offset once, every click as it was produced. */
export async function verifyRun(run: { pipelineFile: string; ledger: string }): Promise<boolean> {
  const { pipelineFile, ledger } = run;
  const reports = await verify({ config: pipelineFile, contracts: 'schemas', ledger });
  for (const report of reports) tell(renderReport(report));
  return reports.every(isSound);
}

/** The catalog forgets the tables of a run; their files go with the stack's data. */
export async function dropTables(config: PipelineConfig): Promise<void> {
  const { namespace, name, deadLetterName } = config.table;
  const catalog = await openCatalog(config);
  for (const table of [name, deadLetterName]) await catalog.dropTable({ namespace, name: table });
}
