/** Records that a producer sent to one partition, in order of their offsets, as its ledger has them. */
export type ProducedBatch = {
  topic: string;
  partition: number;
  /** Offset of the first record; undefined when it is not known whether they arrived. */
  baseOffset: bigint | undefined;
  count: number;
  eventTimeMs: readonly number[];
  userId: readonly number[];
  url: readonly string[];
  deviceId: readonly string[];
  sessionId: readonly (string | null)[];
  /** `good`, or the kind of reject that the record was made to become. */
  kind: readonly string[];
};

/** What the generator wrote down about one record. */
export type ExpectedRecord = {
  kind: string;
  eventTimeMs: number;
  userId: number;
  url: string;
  deviceId: string;
  sessionId: string | null;
};

/** Records of a ledger by partition and offset, in typed arrays; equal texts are held once. */
export type LedgerIndex = {
  add(batch: ProducedBatch, baseOffset: bigint): void;
  /** The record at this place, with a mark that it was found; undefined for an unknown offset. */
  take(partition: number, offset: bigint): (ExpectedRecord & { again: boolean }) | undefined;
  /** Records below the position that nobody has taken, and how many lie at or above it. */
  untaken(next: ReadonlyMap<number, bigint>): Iterable<UntakenRecord>;
};

type UntakenRecord = {
  partition: number;
  offset: bigint;
  kind: string;
  committed: boolean;
};

const CHUNK_BITS = 14;
const CHUNK_RECORDS = 1 << CHUNK_BITS;
const CHUNK_MASK = BigInt(CHUNK_RECORDS - 1);

/** `kind` 0 is an offset that the ledger does not know. */
type Chunk = {
  kind: Uint8Array;
  taken: Uint8Array;
  eventTimeMs: Float64Array;
  userId: Float64Array;
  url: Int32Array;
  deviceId: Int32Array;
  sessionId: Int32Array;
};

/** Memory: some 32 bytes a record and the distinct texts. */
export function openLedgerIndex(): LedgerIndex {
  const partitions = new Map<number, Map<bigint, Chunk>>();
  const texts = openTexts();
  const kinds: string[] = [''];
  const kindCode = (kind: string): number => {
    const known = kinds.indexOf(kind);
    return known === -1 ? kinds.push(kind) - 1 : known;
  };
  const chunkFor = (partition: number, offset: bigint): Chunk => {
    const chunks = partitions.get(partition) ?? new Map<bigint, Chunk>();
    partitions.set(partition, chunks);
    const id = offset >> BigInt(CHUNK_BITS);
    const chunk = chunks.get(id) ?? newChunk();
    chunks.set(id, chunk);
    return chunk;
  };
  return {
    add(batch, baseOffset) {
      for (let i = 0; i < batch.count; i += 1) {
        const offset = baseOffset + BigInt(i);
        const chunk = chunkFor(batch.partition, offset);
        const at = Number(offset & CHUNK_MASK);
        chunk.kind[at] = kindCode(batch.kind[i] ?? '');
        chunk.eventTimeMs[at] = batch.eventTimeMs[i] ?? 0;
        chunk.userId[at] = batch.userId[i] ?? 0;
        chunk.url[at] = texts.code(batch.url[i] ?? '');
        chunk.deviceId[at] = texts.code(batch.deviceId[i] ?? '');
        const sessionId = batch.sessionId[i] ?? null;
        chunk.sessionId[at] = sessionId === null ? -1 : texts.code(sessionId);
      }
    },
    take(partition, offset) {
      const chunk = partitions.get(partition)?.get(offset >> BigInt(CHUNK_BITS));
      const at = Number(offset & CHUNK_MASK);
      const kind = kinds[chunk?.kind[at] ?? 0] ?? '';
      if (chunk === undefined || kind === '') return undefined;
      const again = chunk.taken[at] === 1;
      chunk.taken[at] = 1;
      const session = chunk.sessionId[at] ?? -1;
      return {
        kind,
        again,
        eventTimeMs: chunk.eventTimeMs[at] ?? 0,
        userId: chunk.userId[at] ?? 0,
        url: texts.text(chunk.url[at] ?? 0),
        deviceId: texts.text(chunk.deviceId[at] ?? 0),
        sessionId: session === -1 ? null : texts.text(session),
      };
    },
    *untaken(next) {
      for (const [partition, chunks] of partitions) {
        const end = next.get(partition) ?? 0n;
        for (const [id, chunk] of chunks) {
          for (let at = 0; at < CHUNK_RECORDS; at += 1) {
            const kind = kinds[chunk.kind[at] ?? 0] ?? '';
            if (kind === '' || chunk.taken[at] === 1) continue;
            const offset = (id << BigInt(CHUNK_BITS)) + BigInt(at);
            yield { partition, offset, kind, committed: offset < end };
          }
        }
      }
    },
  };
}

function openTexts(): { code(text: string): number; text(code: number): string } {
  const codes = new Map<string, number>();
  const texts: string[] = [];
  return {
    code(text) {
      let code = codes.get(text);
      if (code === undefined) {
        code = texts.push(text) - 1;
        codes.set(text, code);
      }
      return code;
    },
    text: (code) => texts[code] ?? '',
  };
}

function newChunk(): Chunk {
  return {
    kind: new Uint8Array(CHUNK_RECORDS),
    taken: new Uint8Array(CHUNK_RECORDS),
    eventTimeMs: new Float64Array(CHUNK_RECORDS),
    userId: new Float64Array(CHUNK_RECORDS),
    url: new Int32Array(CHUNK_RECORDS),
    deviceId: new Int32Array(CHUNK_RECORDS),
    sessionId: new Int32Array(CHUNK_RECORDS),
  };
}
