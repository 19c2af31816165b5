import { describe, expect, it } from 'vitest';
import { stackAddresses } from '../../cli/stack-addresses.ts';

describe('the addresses of a stack', () => {
  it('are left to the files where nothing is moved', () => {
    expect(stackAddresses({ TRIBUTARY_PORT_OFFSET: '' })).toEqual({});
  });

  it('follow the one port that is moved, and no other', () => {
    expect(stackAddresses({ TRIBUTARY_TRINO_PORT: '8080' })).toEqual({
      TRINO_URL: 'http://127.0.0.1:8080',
    });
  });

  it('all follow an offset, but for a port that has its own variable', () => {
    const moved = { TRIBUTARY_PORT_OFFSET: '1000', TRIBUTARY_KAFKA_PORT: '9092' };
    expect(stackAddresses(moved)).toMatchObject({
      KAFKA_BROKERS: '127.0.0.1:9092',
      DATABASE_PORT: '16432',
      CATALOG_URI: 'http://127.0.0.1:19181',
      HTTP_PORT: '19099',
    });
  });

  it('come with the state of the named instance', () => {
    expect(stackAddresses({ TRIBUTARY_STACK_INSTANCE: 'test' })).toEqual({
      STATE_DIRECTORY: '.stack/run/test/state',
    });
  });

  it('are a mistake of the user where a port is none', () => {
    expect(() => stackAddresses({ TRIBUTARY_PORT_OFFSET: 'abc' })).toThrow(
      expect.objectContaining({ kind: 'config' }),
    );
  });
});
