import { avscType } from '../../schemas/avro-encoding.ts';

/** A writer of clicks that sends much more than the contract asks for, with every type that can hold a bomb. */
export const richSchema = {
  type: 'record',
  name: 'RichClick',
  fields: [
    { name: 'tags', type: { type: 'map', values: 'string' } },
    { name: 'event_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'clicks', type: { type: 'array', items: ['null', 'long'] } },
    { name: 'user_id', type: 'int' },
    { name: 'score', type: 'double' },
    {
      name: 'tree',
      type: {
        type: 'record',
        name: 'Tree',
        fields: [{ name: 'child', type: ['null', 'Tree'] }],
      },
    },
    { name: 'url', type: 'string' },
    { name: 'device_id', type: ['string', 'null'] },
    { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['VIEW', 'TAP'] } },
    { name: 'ratio', type: 'float' },
    { name: 'bot', type: 'boolean' },
    { name: 'duration_ms', type: ['null', 'int'] },
  ],
};

export const click = {
  event_time: 1_700_000_000_123n,
  user_id: 123_456_789n,
  url: 'https://example.com/a?b=ü',
  device_id: 'device-17',
  session_id: 's-1',
  referrer: null,
  duration_ms: 250,
};

export const richClick = {
  ...click,
  tags: JSON.parse('{"__proto__": "p", "constructor": "c"}') as object,
  clicks: [1n, null, -5n],
  user_id: 7,
  score: 0.5,
  tree: { child: { child: null } },
  hash: Buffer.from('hash'),
  kind: 'TAP',
  ratio: 1.5,
  bot: true,
};

/** The rich click without its frame, the bytes of one field replaced by others. */
export function richBody(field?: string, bytes: Uint8Array = Buffer.of()): Uint8Array {
  return Buffer.concat(
    richSchema.fields.map(({ name, type }) => {
      if (name === field) return bytes;
      const one = avscType({ type: 'record', name: 'One', fields: [{ name, type }] });
      return one.toBuffer({ [name]: richClick[name as keyof typeof richClick] });
    }),
  );
}
