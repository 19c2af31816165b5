import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConnectorsConfig } from '../../connectors/connectors-config.ts';
import type { ConnectorsConfig } from '../../connectors/connectors-config.ts';

const file = join(import.meta.dirname, '../../connectors/connectors.yaml');

const readSecretFile = (): string => '';

/** The configuration in git, with another password. */
export function connectorsConfig({ password }: { password: string }): ConnectorsConfig {
  const environment = { DATABASE_PASSWORD: password };
  return parseConnectorsConfig(readFileSync(file, 'utf8'), { file, environment, readSecretFile });
}
