import { createRequire } from 'node:module';
import { crc32c as wasmCrc32c } from '@platformatic/wasm-utils';

export type Crc32c = {
  /** CRC-32C (Castagnoli) of the bytes, unsigned. */
  sum: (bytes: Uint8Array) => number;
  /** `wasm` runs at about a fifth of the speed of `native`; whoever opens the log says so once. */
  implementation: 'native' | 'wasm';
};

/**
 * The checksum of Kafka record batches: the native module where the platform has it, else WebAssembly.
 * The native module is resolved at run time because a platform without a prebuilt binary fails at load.
 */
export function loadCrc32c(
  requireModule: (name: string) => unknown = createRequire(import.meta.url),
): Crc32c {
  try {
    const native = requireModule('@node-rs/crc32') as { crc32c: (bytes: Uint8Array) => number };
    return { sum: (bytes) => native.crc32c(bytes), implementation: 'native' };
  } catch {
    return { sum: wasmCrc32c, implementation: 'wasm' };
  }
}
