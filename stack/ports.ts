import { connect } from 'node:net';

/** Every port that the stack listens on, as offset 0 has it. */
export const portDefaults = {
  postgres: 15432,
  kafka: 19092,
  kafkaController: 19093,
  connect: 18083,
  registry: 18080,
  registryManagement: 18081,
  s3: 17070,
  catalog: 18181,
  trino: 18088,
} as const;

export type PortName = keyof typeof portDefaults;
export type Ports = Readonly<Record<PortName, number>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that moves one port: `TRIBUTARY_KAFKA_CONTROLLER_PORT` for `kafkaController`. */
export function portVariable(name: PortName): string {
  return `TRIBUTARY_${name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()}_PORT`;
}

/**
 * The ports of one instance: each default plus `TRIBUTARY_PORT_OFFSET`, unless its own variable names it.
 * Throws a plain Error that names the variable when a value is not a port number.
 */
export function readPorts(env: Environment): Ports {
  const offset = readNumber(env, 'TRIBUTARY_PORT_OFFSET', 0, 0, 40_000);
  const entries = Object.entries(portDefaults).map(([name, standard]) => [
    name,
    readNumber(env, portVariable(name as PortName), standard + offset, 1, 65_535),
  ]);
  return Object.fromEntries(entries) as Ports;
}

function readNumber(
  env: Environment,
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${name} must be a whole number from ${min} to ${max}, got '${text}'`);
}

/** True when something accepts connections on the loopback port. */
export function isTaken(port: number, timeoutMs = 1000): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: '127.0.0.1', timeout: timeoutMs });
  const answer = (taken: boolean): void => {
    socket.destroy();
    resolve(taken);
  };
  socket.once('connect', () => answer(true));
  socket.once('timeout', () => answer(false));
  socket.once('error', () => answer(false));
  return promise;
}

/**
 * One line for a port that another program holds: which port, whose it would be, and what moves it: the port's own
 * variable or TRIBUTARY_PORT_OFFSET, unless the instance listens to another variable alone.
 */
export function conflictLine(
  name: PortName,
  port: number,
  component: string,
  movedBy?: string,
): string {
  const remedy = movedBy ?? `${portVariable(name)} (one port) or TRIBUTARY_PORT_OFFSET`;
  return (
    `port ${port} (${component}) is in use by another program: ` +
    `stop that program, or set ${remedy} (all ports)`
  );
}
