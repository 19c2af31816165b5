import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exists } from '../exists.ts';
import { dataDirectory, type Instance } from '../instance.ts';

const run = promisify(execFile);

/** Gives an empty log directory its cluster id, once: a KRaft broker refuses to start without one. */
export async function formatKafka(
  instance: Instance,
  jdk: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const data = dataDirectory(instance, 'kafka');
  if (await exists(join(data, 'meta.properties'))) return;
  await mkdir(data, { recursive: true });
  await run(
    join(jdk, 'bin/java'),
    [
      '-cp',
      join(instance.dist, 'kafka/lib/*'),
      'kafka.tools.StorageTool',
      'format',
      // In one word: an id may begin with a dash.
      `--cluster-id=${randomBytes(16).toString('base64url')}`,
      '--config',
      join(instance.sources, 'kafka/server.properties'),
    ],
    { env: { ...env } },
  );
}
