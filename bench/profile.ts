import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What a stretch of a pipeline's life was spent on: seconds of its JavaScript threads, by stage. */
export type StageSeconds = Readonly<Record<string, number>>;

/** From and to, as `process.hrtime` counts: one clock for all processes of a machine. */
export type Stretch = { fromNs: bigint; toNs: bigint };

/** The part of a profile that is read. Source: Chrome DevTools Protocol, `Profiler.Profile`. */
export type CpuProfile = {
  startTime: number;
  nodes: readonly {
    id: number;
    callFrame: { functionName: string; url: string };
    children?: readonly number[];
  }[];
  samples: readonly number[];
  timeDeltas: readonly number[];
};

/** By folder, the first that fits; what these call in Node and in packages counts as theirs. */
const STAGES = [
  ['enrich/source/', 'fetch, decompress, walk'],
  ['schemas/', 'decode'],
  ['enrich/core/', 'columns and join'],
  ['enrich/state/', 'projections and store'],
  ['catalog/parquet/', 'Parquet'],
  ['catalog/', 'upload and commit'],
  ['enrich/', 'loops and metrics'],
] as const;

const GARBAGE_COLLECTOR = '(garbage collector)';
const IDLE = '(idle)';
const OTHER = 'Node, start of threads';

/** Makes a process write a profile of each of its threads into the folder when it ends. */
export async function profileInto(folder: string): Promise<Record<string, string>> {
  const target = resolve(folder);
  await mkdir(target, { recursive: true });
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${target}` };
}

/** All profiles of a folder, added up over a stretch; idle time is left out. Errors: those of the file system. */
export async function readStages(folder: string, stretch: Stretch): Promise<StageSeconds> {
  const sums: Record<string, number> = {};
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.cpuprofile')) continue;
    const profile = JSON.parse(await readFile(join(folder, name), 'utf8')) as CpuProfile;
    for (const [stage, seconds] of Object.entries(stagesOf(profile, stretch))) {
      sums[stage] = (sums[stage] ?? 0) + seconds;
    }
  }
  return sums;
}

/** Where the samples of one thread fall. */
export function stagesOf(profile: CpuProfile, { fromNs, toNs }: Stretch): StageSeconds {
  const stages = stageByNode(profile);
  const sums: Record<string, number> = {};
  const [fromUs, toUs] = [Number(fromNs / 1000n), Number(toNs / 1000n)];
  let atUs = profile.startTime;
  for (const [i, id] of profile.samples.entries()) {
    const deltaUs = profile.timeDeltas[i] ?? 0;
    atUs += deltaUs;
    const stage = stages.get(id);
    if (stage === undefined || atUs < fromUs || atUs > toUs) continue;
    sums[stage] = (sums[stage] ?? 0) + deltaUs / 1e6;
  }
  return sums;
}

/** A function's stage is its own file's, else its caller's; undefined for idle time. */
function stageByNode({ nodes }: CpuProfile): ReadonlyMap<number, string | undefined> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const stages = new Map<number, string | undefined>();
  const [root] = nodes;
  const open: { id: number; stage: string }[] = root ? [{ id: root.id, stage: OTHER }] : [];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const node = byId.get(next.id);
    if (node === undefined) continue;
    const { functionName, url } = node.callFrame;
    const stage = functionName === GARBAGE_COLLECTOR ? 'garbage collection' : stageOfFile(url);
    const own = stage ?? next.stage;
    stages.set(node.id, functionName === IDLE ? undefined : own);
    for (const id of node.children ?? []) open.push({ id, stage: own });
  }
  return stages;
}

const ROOT = `${pathToFileURL(resolve(import.meta.dirname, '..')).href}/`;

function stageOfFile(url: string): string | undefined {
  if (!url.startsWith(ROOT) || url.includes('/node_modules/')) return undefined;
  const path = url.slice(ROOT.length);
  return STAGES.find(([folder]) => path.startsWith(folder))?.[1];
}
