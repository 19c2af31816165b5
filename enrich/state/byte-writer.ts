const encoder = new TextEncoder();

/** Bytes that grow as they are written. Growing replaces `bytes`: take views only when all is written. */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>;
  length = 0;
  #view: DataView;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.bytes.buffer);
  }

  uint8(value: number): void {
    this.#reserve(1);
    this.bytes[this.length++] = value;
  }

  /** An unsigned integer below 2^32, seven bits a byte, lowest first, the high bit set on all but the last. */
  varint(value: number): void {
    this.#reserve(5);
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.length, value, true);
    this.length += 4;
  }

  int64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.length, value, true);
    this.length += 8;
  }

  /** A 64-bit integer given as its low and high words. */
  words(low: number, high: number): void {
    this.#reserve(8);
    this.#view.setInt32(this.length, low, true);
    this.#view.setInt32(this.length + 4, high, true);
    this.length += 8;
  }

  /** What `orderedInt64` writes, given as low and high words. */
  orderedWords(low: number, high: number): void {
    this.#reserve(8);
    this.#view.setInt32(this.length, high ^ 0x8000_0000, false);
    this.#view.setInt32(this.length + 4, low, false);
    this.length += 8;
  }

  /** Big-endian with the sign flipped, so that the order of the bytes is the order of the numbers. */
  orderedInt64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.length, value, false);
    this.bytes[this.length] = (this.bytes[this.length] as number) ^ 0x80;
    this.length += 8;
  }

  float32(value: number): void {
    this.#reserve(4);
    this.#view.setFloat32(this.length, value, true);
    this.length += 4;
  }

  float64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  raw(source: Uint8Array, start: number, length: number): void {
    this.#reserve(length);
    const { bytes } = this;
    const to = this.length;
    // A loop is faster than a view for the few bytes that most values have.
    if (length > 64) bytes.set(source.subarray(start, start + length), to);
    else for (let i = 0; i < length; i++) bytes[to + i] = source[start + i] as number;
    this.length = to + length;
  }

  /** UTF-8 without a length. */
  text(value: string): void {
    if (this.#ascii(value)) return;
    const encoded = encoder.encode(value);
    this.raw(encoded, 0, encoded.length);
  }

  /** UTF-8 after its length plus one, as a varint. */
  sizedText(value: string): void {
    const start = this.length;
    this.varint(value.length + 1);
    if (this.#ascii(value)) return;
    this.length = start;
    const encoded = encoder.encode(value);
    this.varint(encoded.length + 1);
    this.raw(encoded, 0, encoded.length);
  }

  /** Most text is short ASCII, for which a loop is faster than a call to the encoder. */
  #ascii(value: string): boolean {
    const { length } = value;
    this.#reserve(length);
    const { bytes } = this;
    const start = this.length;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) return false;
      bytes[start + i] = unit;
    }
    this.length = start + length;
    return true;
  }

  #reserve(length: number): void {
    const needed = this.length + length;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
