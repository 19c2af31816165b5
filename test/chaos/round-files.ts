import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { repository } from '../stack/compose-file.ts';
import type { Kind, PipelineYaml, Round } from './round.ts';

type Files = Pick<Round, 'directory' | 'pipelineFile' | 'configure' | 'variant' | 'names'>;

/** The round's folder with pipeline.yaml as shipped, under names of the round's own. */
export async function openRoundFiles(name: string, kind: Kind): Promise<Files> {
  const directory = await mkdtemp(join(tmpdir(), `${name}-`));
  const pipelineFile = join(directory, 'pipeline.yaml');
  const shipped = await readFile(join(repository, 'pipeline.yaml'), 'utf8');
  let config = parse(shipped) as PipelineYaml;
  nameAfter(config, name, kind);
  await writeFile(pipelineFile, stringify(config));
  let variants = 0;
  return {
    directory,
    pipelineFile,
    configure: async (edit) => {
      const next = structuredClone(config);
      edit(next);
      config = next;
      await writeFile(pipelineFile, stringify(config));
    },
    variant: async (edit) => {
      const next = structuredClone(config);
      edit(next);
      variants += 1;
      const file = join(directory, `variant-${variants}.yaml`);
      await writeFile(file, stringify(next));
      return file;
    },
    get names() {
      return namesIn(config);
    },
  };
}

function nameAfter(config: PipelineYaml, name: string, kind: Kind): void {
  config.pipeline = name;
  config.kafka.group = name;
  config.stream.topic = `${name}.clicks`;
  config.table.name = `lake.${name}`;
  config.table.dead_letter = `lake.${name}_dead_letter`;
  if (kind.dimensions === 'debezium') return;
  config.readiness.notification_topic = `${name}.notifications`;
  for (const dimension of config.dimensions) dimension.topic = `${name}.${dimension.name}`;
}

function unqualified(table: string): string {
  return table.slice(table.lastIndexOf('.') + 1);
}

function namesIn(config: PipelineYaml): Round['names'] {
  return {
    pipeline: config.pipeline,
    group: config.kafka.group,
    topic: config.stream.topic,
    events: unqualified(config.table.name),
    deadLetter: unqualified(config.table.dead_letter),
    dimensionTopics: Object.fromEntries(config.dimensions.map(({ name, topic }) => [name, topic])),
    notificationTopic: config.readiness.notification_topic,
  };
}
