import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findJdk } from '../../stack/java.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-java-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A folder that looks like a JDK of that version to whoever asks its compiler. */
async function makeJdk(parent: string, version: string): Promise<string> {
  const home = join(folder, parent, `jdk-${version}`);
  await mkdir(join(home, 'bin'), { recursive: true });
  await writeFile(join(home, 'bin/javac'), `#!/bin/sh\necho javac ${version}\n`);
  await chmod(join(home, 'bin/javac'), 0o755);
  return home;
}

test('JAVA25_HOME wins over JAVA_HOME', async () => {
  const first = await makeJdk('named', '25.0.1');
  const second = await makeJdk('named', '26');
  expect(await findJdk({ JAVA25_HOME: first, JAVA_HOME: second }, [])).toBe(first);
});

test('a JAVA_HOME that is too old gives way to an installed JDK', async () => {
  const old = await makeJdk('old', '17.0.15');
  const installed = await makeJdk('installed', '25.0.3');
  expect(await findJdk({ JAVA_HOME: old }, [join(folder, 'installed')])).toBe(installed);
});

test('without a JDK 25 the message says what to install and which variable to set', async () => {
  const old = await makeJdk('lonely', '21');
  const env = { JAVA_HOME: old, PATH: join(old, 'bin') };
  await expect(findJdk(env, [join(folder, 'absent')])).rejects.toThrow(
    /^no JDK 25 found: install one .* set JAVA25_HOME to its folder$/,
  );
});
