import type { DecodeFailure } from './row-buffer.ts';

type Failure = { code: number; kind: DecodeFailure['kind']; text: string };

/**
 * Everything that can be wrong with a record's bytes. Generated code returns one number, 0 for success,
 * else `code + fieldStride * index of the field's path`; the sentence is made only for a reject.
 */
export const failures = {
  truncated: { code: 1, kind: 'truncated', text: 'the record ends inside it' },
  malformed: { code: 2, kind: 'malformed', text: 'its bytes are not Avro of its type' },
  invalidUtf8: { code: 3, kind: 'invalid-utf8', text: 'its bytes are not UTF-8' },
  timestamp: { code: 4, kind: 'out-of-range', text: 'its time is not within the years 1 to 9999' },
  timeOfDay: { code: 5, kind: 'out-of-range', text: 'its time is not within a day' },
  decimal: { code: 6, kind: 'out-of-range', text: 'its value has more digits than its precision' },
  nullValue: {
    code: 7,
    kind: 'contract-violation',
    text: 'it is null but the contract requires it',
  },
  uuid: { code: 8, kind: 'contract-violation', text: 'it is not a UUID' },
  symbol: { code: 9, kind: 'contract-violation', text: 'its symbol is not one of the contract' },
  unreadable: {
    code: 10,
    kind: 'contract-violation',
    text: "the writer's type cannot be read as the contract's",
  },
  missing: {
    code: 12,
    kind: 'contract-violation',
    text: 'the writer lacks it and it has no usable default',
  },
  trailing: { code: 11, kind: 'malformed', text: 'bytes follow the last field' },
} as const satisfies Record<string, Failure>;

export const fieldStride = 16;

const byCode: ReadonlyMap<number, Failure> = new Map(
  Object.values(failures).map((failure) => [failure.code, failure]),
);

/** The failure behind a code of generated code; the path of the whole record is empty. */
export function failureOf(code: number, paths: readonly string[]): DecodeFailure {
  const failure = byCode.get(code % fieldStride) ?? failures.malformed;
  const path = paths[Math.floor(code / fieldStride)] ?? '';
  return {
    kind: failure.kind,
    message: path === '' ? `the record: ${failure.text}` : `field ${path}: ${failure.text}`,
  };
}
