import { portDefaults, type PortName, portVariable, readPorts } from '../../stack/ports.ts';
import { bringUp, claimInstance, launch } from './own-stack.ts';

/** The tests' stack stands beside the user's: its own data, its own ports. */
const instance = 'test';
const standardOffset = '1000';
const movedBy = 'TRIBUTARY_TEST_PORT_OFFSET';

/**
 * Starts a stack for the whole suite, empty, and returns what removes it. With TRIBUTARY_TEST_STACK=reuse the suite
 * takes the running stack that the TRIBUTARY_*_PORT variables name (by default the user's) and leaves it running.
 */
export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['TRIBUTARY_TEST_STACK'] === 'reuse') return undefined;
  const offset = process.env[movedBy] ?? standardOffset;
  const ports = readPorts({ TRIBUTARY_PORT_OFFSET: offset });
  for (const name of Object.keys(portDefaults) as PortName[]) {
    process.env[portVariable(name)] = String(ports[name]);
  }
  process.env['TRIBUTARY_STACK_INSTANCE'] = instance;
  const release = await claimInstance();
  const tearDown = async (): Promise<void> => {
    await launch('down', '--wipe');
    await release();
  };
  // What a killed run has left behind.
  await launch('down', '--wipe');
  try {
    await bringUp(movedBy);
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}
