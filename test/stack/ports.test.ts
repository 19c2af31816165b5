import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { components } from '../../stack/components.ts';
import { readInstance } from '../../stack/instance.ts';
import { findConflicts } from '../../stack/launch.ts';
import { conflictLine, isTaken, portDefaults, portVariable, readPorts } from '../../stack/ports.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Listens on a port that the system chooses, and returns it. */
async function takePort(): Promise<number> {
  const server = createServer();
  servers.push(server);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

test('without variables every port is its default', () => {
  expect(readPorts({})).toEqual(portDefaults);
});

test('the offset moves every port', () => {
  const ports = readPorts({ TRIBUTARY_PORT_OFFSET: '1000' });
  expect(ports.kafka).toBe(20_092);
  expect(ports.trino).toBe(19_088);
});

test('a port with a variable of its own ignores the offset', () => {
  const ports = readPorts({
    TRIBUTARY_PORT_OFFSET: '1000',
    TRIBUTARY_KAFKA_CONTROLLER_PORT: '5000',
  });
  expect(ports.kafkaController).toBe(5000);
  expect(ports.kafka).toBe(20_092);
});

test.each([
  ['TRIBUTARY_KAFKA_PORT', 'many'],
  ['TRIBUTARY_KAFKA_PORT', '0'],
  ['TRIBUTARY_KAFKA_PORT', '65536'],
  ['TRIBUTARY_PORT_OFFSET', '-1'],
  ['TRIBUTARY_PORT_OFFSET', '1.5'],
])('%s=%s is refused by its name', (name, value) => {
  expect(() => readPorts({ [name]: value })).toThrow(`${name} must be a whole number`);
});

test('no two components share a port, at any offset a user would choose', () => {
  const demo = Object.values(readPorts({}));
  const own = Object.values(readPorts({ TRIBUTARY_PORT_OFFSET: '1000' }));
  expect(new Set([...demo, ...own]).size).toBe(demo.length + own.length);
});

test('a port that something listens on is taken, a closed one is free', async () => {
  const port = await takePort();
  expect(await isTaken(port)).toBe(true);
  servers.splice(0)[0]?.close();
  expect(await isTaken(port)).toBe(false);
});

test('a conflict names the port, the component and the variable that moves it', async () => {
  const port = await takePort();
  const instance = readInstance({ TRIBUTARY_TRINO_PORT: String(port) });
  const trino = components.filter(({ name }) => name === 'trino');
  expect(await findConflicts(instance, trino)).toEqual([
    `port ${port} (trino) is in use by another program: stop that program, ` +
      'or set TRIBUTARY_TRINO_PORT (one port) or TRIBUTARY_PORT_OFFSET (all ports)',
  ]);
});

test('a conflict of a stack that one variable alone moves names that one', async () => {
  const port = await takePort();
  const instance = readInstance({ TRIBUTARY_TRINO_PORT: String(port) });
  const trino = components.filter(({ name }) => name === 'trino');
  expect(await findConflicts(instance, trino, 'TRIBUTARY_CHAOS_PORT_OFFSET')).toEqual([
    `port ${port} (trino) is in use by another program: stop that program, ` +
      'or set TRIBUTARY_CHAOS_PORT_OFFSET (all ports)',
  ]);
});

test('a conflict line is one line', () => {
  expect(conflictLine('registryManagement', 18_081, 'registry')).not.toContain('\n');
  expect(portVariable('registryManagement')).toBe('TRIBUTARY_REGISTRY_MANAGEMENT_PORT');
});
