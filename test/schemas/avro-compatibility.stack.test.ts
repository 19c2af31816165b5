import { expect, it } from 'vitest';
import { endpoints } from '../stack/endpoints.ts';
import { compatibilityLevels } from '../../schemas/compatibility-level.ts';
import { schemaChains } from './corpus/schema-chains.ts';
import type { SchemaChain } from './corpus/schema-chains.ts';
import { schemaPairs } from './corpus/schema-pairs.ts';
import type { SchemaPair } from './corpus/schema-pair.ts';

/** Subjects that are asked about side by side. */
const askersMax = 12;

const prefix = `compatibility_${process.pid}_${Date.now()}`;
let subjects = 0;
const newSubject = (): string => `${prefix}_${++subjects}-value`;

type Answer = { status: number; body: Readonly<Record<string, unknown>> };

async function send(method: string, path: string, body: unknown): Promise<Answer> {
  const response = await fetch(`${endpoints.registryUrl}${path}`, {
    method,
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

async function must(answer: Promise<Answer>): Promise<void> {
  const { status, body } = await answer;
  if (status !== 200) throw new Error(`the registry answered ${status}: ${JSON.stringify(body)}`);
}

const register = (subject: string, avroSchema: unknown): Promise<Answer> =>
  send('POST', `/subjects/${subject}/versions`, { schema: JSON.stringify(avroSchema) });

const setLevel = (subject: string, level: string): Promise<Answer> =>
  send('PUT', `/config/${subject}`, { compatibility: level });

/** Several actors take from one iterator, each item once. */
async function forEach<T>(
  rest: IterableIterator<T>,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const act = async (): Promise<void> => {
    for (const item of rest) await action(item);
  };
  await Promise.all(Array.from({ length: askersMax }, act));
}

/** What the registry says of each newer schema where the older one is registered. */
async function verdicts(
  subject: string,
  level: string,
  pairs: readonly SchemaPair[],
): Promise<unknown[]> {
  await must(setLevel(subject, level));
  const path = `/compatibility/subjects/${subject}/versions/latest`;
  return Promise.all(
    pairs.map(async ({ newer }) => {
      const { status, body } = await send('POST', path, { schema: JSON.stringify(newer) });
      return status === 422 ? 'refused' : body['is_compatible'];
    }),
  );
}

it('a running registry gives the verdict of every pair, or the one that the pair explains', async () => {
  const answers = new Map<string, { backward: unknown; forward: unknown }>();
  // Pairs with one older schema share a subject: most of the time goes into registering.
  const groups = Map.groupBy(schemaPairs, ({ older }) => JSON.stringify(older)).values();
  await forEach(groups, async (pairs) => {
    const subject = newSubject();
    await must(register(subject, pairs[0]?.older));
    const backward = await verdicts(subject, 'BACKWARD', pairs);
    const forward = await verdicts(subject, 'FORWARD', pairs);
    pairs.forEach(({ name }, index) =>
      answers.set(name, { backward: backward[index], forward: forward[index] }),
    );
  });
  const told = schemaPairs.map(({ name }) => ({ name, ...answers.get(name) }));
  expect(told).toEqual(
    schemaPairs.map(({ name, backward, forward, registry }) => ({
      name,
      backward: registry?.backward ?? backward,
      forward: registry?.forward ?? forward,
    })),
  );
});

it('a running registry takes the next version of a chain under the levels that accept it', async () => {
  const tries = schemaChains.flatMap((chain) =>
    compatibilityLevels.map((level): [SchemaChain, string] => [chain, level]),
  );
  const accepted = new Set<string>();
  await forEach(tries.values(), async ([{ name, versions, proposed }, level]) => {
    const subject = newSubject();
    for (const version of versions) await must(register(subject, version));
    await must(setLevel(subject, level));
    const { status } = await register(subject, proposed);
    expect([200, 409]).toContain(status);
    if (status === 200) accepted.add(`${level}: ${name}`);
  });
  for (const { name, registry, accepted: ours } of schemaChains) {
    const expected = registry?.accepted ?? ours;
    const levels = compatibilityLevels.filter((level) => accepted.has(`${level}: ${name}`));
    expect({ name, levels: levels.toSorted() }).toEqual({ name, levels: expected.toSorted() });
  }
});
