import { ByteSink } from './byte-sink.ts';

const TYPES = { true: 1, false: 2, int32: 5, int64: 6, binary: 8, list: 9, struct: 12 } as const;

const utf8 = new TextEncoder();

/**
 * Thrift structures in the compact protocol. Fields are written in rising order of their numbers; an undefined value
 * leaves its field out. Source: thrift, doc/specs/thrift-compact-protocol.md.
 */
export class CompactThrift {
  readonly #out = new ByteSink();
  #lastField = 0;

  get bytes(): Uint8Array {
    return this.#out.view();
  }

  bool(field: number, value: boolean): void {
    this.#field(field, value ? TYPES.true : TYPES.false);
  }

  int32(field: number, value: number | undefined): void {
    if (value === undefined) return;
    this.#field(field, TYPES.int32);
    this.#out.zigzag(value);
  }

  /** Of a value within 2^53. */
  int64(field: number, value: number | undefined): void {
    if (value === undefined) return;
    this.#field(field, TYPES.int64);
    this.#out.zigzag(value);
  }

  binary(field: number, value: Uint8Array | undefined): void {
    if (value === undefined) return;
    this.#field(field, TYPES.binary);
    this.#sized(value);
  }

  string(field: number, value: string): void {
    this.binary(field, utf8.encode(value));
  }

  struct(field: number, write: () => void): void {
    this.#field(field, TYPES.struct);
    this.#fields(write);
  }

  structs<T>(field: number, items: readonly T[], write: (item: T) => void): void {
    this.#list(field, TYPES.struct, items.length);
    for (const item of items) this.#fields(() => write(item));
  }

  int32s(field: number, items: readonly number[]): void {
    this.#list(field, TYPES.int32, items.length);
    for (const item of items) this.#out.zigzag(item);
  }

  strings(field: number, items: readonly string[]): void {
    this.#list(field, TYPES.binary, items.length);
    for (const item of items) this.#sized(utf8.encode(item));
  }

  /** Ends the outermost structure. */
  end(): void {
    this.#out.byte(0);
  }

  #fields(write: () => void): void {
    const outer = this.#lastField;
    this.#lastField = 0;
    write();
    this.end();
    this.#lastField = outer;
  }

  #field(field: number, type: number): void {
    this.#out.byte(((field - this.#lastField) << 4) | type);
    this.#lastField = field;
  }

  #list(field: number, type: number, size: number): void {
    this.#field(field, TYPES.list);
    if (size < 15) this.#out.byte((size << 4) | type);
    else {
      this.#out.byte(0xf0 | type);
      this.#out.varint(size);
    }
  }

  #sized(value: Uint8Array): void {
    this.#out.varint(value.length);
    this.#out.append(value);
  }
}
