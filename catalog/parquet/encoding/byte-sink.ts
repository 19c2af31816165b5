const LOOP_BYTES_MAX = 32;

/** Bytes that are appended to. Growing replaces `bytes`: take it anew after `reserve`. */
export class ByteSink {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for so many bytes more and returns the memory to write them to, from `length` on. */
  reserve(byteCount: number): Uint8Array<ArrayBuffer> {
    const needed = this.length + byteCount;
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.bytes;
  }

  byte(value: number): void {
    this.reserve(1)[this.length] = value;
    this.length += 1;
  }

  append(source: Uint8Array): void {
    this.reserve(source.length).set(source, this.length);
    this.length += source.length;
  }

  /** Appends `source[from .. to)`; few bytes by a loop, which spares a view. */
  slice(source: Uint8Array, from: number, to: number): void {
    if (to - from > LOOP_BYTES_MAX) {
      this.append(source.subarray(from, to));
      return;
    }
    const bytes = this.reserve(to - from);
    let at = this.length;
    for (let index = from; index < to; index += 1, at += 1) bytes[at] = source[index] as number;
    this.length = at;
  }

  /** Little-endian. */
  int32(value: number): void {
    const bytes = this.reserve(4);
    for (let shift = 0; shift < 32; shift += 8) {
      bytes[this.length] = value >>> shift;
      this.length += 1;
    }
  }

  /** An unsigned LEB128 of an integer from 0 to 2^53. */
  varint(value: number): void {
    const bytes = this.reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      bytes[this.length] = (rest % 0x80) | 0x80;
      this.length += 1;
      rest = Math.floor(rest / 0x80);
    }
    bytes[this.length] = rest;
    this.length += 1;
  }

  /** A zigzag LEB128 of an integer within 2^53. */
  zigzag(value: number): void {
    // Doubled, it may be beyond what a number holds: its lowest seven bits go out alone.
    const folded = value < 0 ? -(value + 1) : value;
    const low = (folded % 0x40) * 2 + (value < 0 ? 1 : 0);
    const high = Math.floor(folded / 0x40);
    this.byte(high > 0 ? low | 0x80 : low);
    if (high > 0) this.varint(high);
  }

  view(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }
}
