import { describe, expect, it } from 'vitest';
import { loadCrc32c } from '../../../../enrich/source/wire/crc32c.ts';

describe('loadCrc32c', () => {
  // The check value of CRC-32C in https://reveng.sourceforge.io/crc-catalogue/17plus.htm
  const check = Buffer.from('123456789');

  it('sums as the published check value says, with the native module', () => {
    const crc32c = loadCrc32c();
    expect(crc32c.implementation).toBe('native');
    expect(crc32c.sum(check)).toBe(0xe3069283);
  });

  it('falls back to WebAssembly where the native module does not load, and says so', () => {
    const crc32c = loadCrc32c(() => {
      throw new Error('no binary for this platform');
    });
    expect(crc32c.implementation).toBe('wasm');
    expect(crc32c.sum(check)).toBe(0xe3069283);
  });
});
