import { describe, expect, it } from 'vitest';
import { createChangeDecoder } from '../../connectors/decode-change.ts';
import { canonicalDecimal, openEnvelopeDecoder } from '../../verify/envelope.ts';
import type { VerifyError } from '../../verify/error.ts';
import { goldenOf, resolveGolden } from '../connectors/golden-records.ts';
import { withFrame, zigzag } from '../schemas/mutations.ts';

const decoder = openEnvelopeDecoder(async (schemaId) => resolveGolden(schemaId));

/** Key and value of a row with an array column. */
function row(): { key: Buffer; value: Buffer } {
  const record = goldenOf('types-r')[0]?.record;
  if (record?.key == null || record.value === null) throw new Error('the sample lacks a part');
  return { key: Buffer.from(record.key), value: Buffer.from(record.value) };
}

describe('a change record of the join check', { timeout: 60_000 }, () => {
  it('is read as it was written', async () => {
    const { key, value } = row();
    expect((await decoder.decode(key, value)).row?.size).toBeGreaterThan(10);
  });

  it.each([
    ['claims 2^53 items at any byte', zigzag(2n ** 53n)],
    ['claims -2^62 items at any byte', zigzag(-(2n ** 62n))],
    ['is cut at any byte', undefined],
  ])('that %s is read or damaged, and holds nobody up', async (_, bomb) => {
    const { key, value } = row();
    const startMs = performance.now();
    const kinds: string[] = [];
    for (let at = 5; at < value.length; at++) {
      const tail = bomb === undefined ? [] : [bomb, value.subarray(at + 1)];
      const decoded = decoder.decode(key, Buffer.concat([value.subarray(0, at), ...tail]));
      await decoded.catch((error: VerifyError) => kinds.push(error.kind));
    }
    expect(kinds.length).toBeGreaterThan(100);
    expect(new Set(kinds)).toEqual(new Set(['corrupt']));
    expect(performance.now() - startMs).toBeLessThan(30_000);
  });
});

const textEnvelope = {
  type: 'record',
  name: 'Envelope',
  fields: [
    {
      name: 'after',
      type: {
        type: 'record',
        name: 'Row',
        fields: [
          {
            name: 'title',
            type: ['null', { type: 'string', 'connect.version': 1 }],
            default: null,
          },
          { name: 'tags', type: { type: 'array', items: 'string' } },
          { name: 'labels', type: { type: 'map', values: 'string', default: { ä: '€' } } },
        ],
      },
    },
    {
      name: 'source',
      type: { type: 'record', name: 'Source', fields: [{ name: 'lsn', type: 'long' }] },
    },
    { name: 'op', type: 'string', default: '€' },
  ],
};
const textKey = { type: 'record', name: 'Key', fields: [{ name: 'id', type: 'string' }] };
const schemaOf = (id: number): object => (id === 1 ? textKey : textEnvelope);

function sized(text: string | Buffer): Buffer {
  return Buffer.concat([zigzag(BigInt(Buffer.byteLength(text))), Buffer.from(text)]);
}

type Texts = Partial<Record<'id' | 'title' | 'tag' | 'label' | 'value' | 'op', string | Buffer>>;

/** A row of text with each of these in it. */
function textRecord(texts: Texts): { key: Buffer; value: Buffer } {
  const { id = 'id', title = 'title', tag = 'tag', label = 'label', value = 'x', op = 'c' } = texts;
  const one = zigzag(1n);
  const end = zigzag(0n);
  const tags = [one, sized(tag), end];
  const labels = [one, sized(label), sized(value), end];
  const parts = [one, sized(title), ...tags, ...labels, zigzag(7n), sized(op)];
  return {
    key: Buffer.from(withFrame(1, sized(id))),
    value: Buffer.from(withFrame(2, Buffer.concat(parts))),
  };
}

const broken = Buffer.of(0x61, 0xff);

describe('text of a change record', () => {
  it('is read, in arrays and maps too', async () => {
    const { key, value } = textRecord({ title: 'a\ufffdb', label: 'ä', value: '€' });
    const change = await openEnvelopeDecoder(async (id) => schemaOf(id)).decode(key, value);
    expect(change).toMatchObject({ rowKey: 'id', lsn: 7n, startsRow: true });
    expect(change.row).toEqual(
      new Map([
        ['title', 'a\ufffdb'],
        ['tags', '["tag"]'],
        ['labels', '{"ä":"€"}'],
      ]),
    );
  });

  it('is read under the names of the contract, where the source has an alias of a field', async () => {
    const { key, value } = textRecord({ title: 'a', label: 'l', value: 'v' });
    const fields = [
      { name: 'headline', aliases: ['title'] },
      { name: 'labels', aliases: ['tags'] },
      { name: 'other', aliases: ['labels'] },
    ];
    const columns = fields.map(({ name }) => name);
    const verifier = openEnvelopeDecoder(async (id) => schemaOf(id), columns, fields);
    const change = await verifier.decode(key, value);
    expect(change.row).toEqual(
      new Map([
        ['headline', 'a'],
        ['labels', '{"l":"v"}'],
      ]),
    );
  });

  it.each<[where: string, texts: Texts, columns: string[] | undefined, isSound: boolean]>([
    ['the key', { id: broken }, ['title'], false],
    ['a column', { title: broken }, ['title'], false],
    ['a column, where all are read', { title: broken }, undefined, false],
    ['a column that nobody reads', { title: broken }, ['tags'], true],
    ['an array', { tag: broken }, ['tags'], false],
    ['an array that nobody reads', { tag: broken }, ['labels'], true],
    ['a name of a map', { label: broken }, ['labels'], false],
    ['a value of a map', { value: broken }, ['labels'], false],
    ['a map that nobody reads', { label: broken, value: broken }, ['title'], true],
    ['the op', { op: broken }, ['title'], false],
  ])(
    'that is not UTF-8 in %s is judged as the pipeline does',
    async (_, texts, columns, isSound) => {
      const record = textRecord(texts);
      const pipeline = createChangeDecoder({
        resolve: schemaOf,
        ...(columns === undefined ? {} : { columns }),
      });
      const verifier = openEnvelopeDecoder(async (id) => schemaOf(id), columns);
      const decoded = verifier.decode(record.key, record.value);
      const judged = await decoded.then(
        () => 'sound',
        (error: VerifyError) => error.kind,
      );
      expect(judged).toBe(isSound ? 'sound' : 'corrupt');
      expect(pipeline.decode(record).kind).toBe(isSound ? 'upsert' : 'reject');
    },
  );

  it('that one byte has broken, whichever it is, is judged as the pipeline does', async () => {
    const columns = ['name', 'email', 'user_id'];
    const { record } = goldenOf('users-c')[0] ?? {};
    if (record?.key == null || record.value === null) throw new Error('the sample lacks a part');
    const pipeline = createChangeDecoder({ resolve: resolveGolden, columns });
    const verifier = openEnvelopeDecoder(async (id) => resolveGolden(id), columns);
    const key = Buffer.from(record.key);
    const seen = { sound: 0, 'invalid-utf8': 0 };
    for (let at = 5; at < record.value.length; at++) {
      const value = Buffer.from(record.value);
      value[at] = 0xff;
      const change = pipeline.decode({ key, value });
      // Other faults are judged by each in its own way.
      const outcome = change.kind === 'reject' ? change.reject.reason : 'sound';
      if (outcome !== 'sound' && outcome !== 'invalid-utf8') continue;
      seen[outcome] += 1;
      const judged = await verifier.decode(key, value).then(
        () => 'sound',
        (error: VerifyError) => error.kind,
      );
      expect(judged, `byte ${at}`).toBe(outcome === 'sound' ? 'sound' : 'corrupt');
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(5);
  });
});

describe('a decimal', () => {
  it.each([
    [995_000n, 4, '99.5'],
    [9950n, 2, '99.5'],
    [-5n, 2, '-0.05'],
    [0n, 2, '0'],
    [100n, 2, '1'],
    [100n, 0, '100'],
    [12n, -3, '12000'],
  ])('of %s and scale %s is %s, whatever digits it is written with', (unscaled, scale, text) => {
    expect(canonicalDecimal(unscaled, scale)).toBe(text);
  });

  const cents = { 'connect.name': 'org.apache.kafka.connect.data.Decimal' };
  it.each([
    [{ ...cents, 'connect.parameters': { scale: '4' } }],
    [{ ...cents, logicalType: 'decimal', precision: 14, scale: 4 }],
    [{ logicalType: 'decimal', precision: 14, scale: 4 }],
  ])('has the scale of its schema: %o', async (annotations) => {
    const price = { name: 'price', type: ['null', { type: 'bytes', ...annotations }] };
    const envelope = {
      ...textEnvelope,
      fields: [
        { name: 'before', type: ['null', { type: 'record', name: 'Row', fields: [price] }] },
        { name: 'after', type: ['null', 'Row'] },
        ...textEnvelope.fields.slice(1),
      ],
    };
    const one = zigzag(1n);
    const cell = Buffer.of(0x0f, 0x2e, 0xb8);
    const parts = [zigzag(0n), one, one, sized(cell), zigzag(7n), sized('c')];
    const decode = openEnvelopeDecoder(async (id) => (id === 1 ? textKey : envelope));
    const change = await decode.decode(
      Buffer.from(withFrame(1, sized('id'))),
      Buffer.from(withFrame(2, Buffer.concat(parts))),
    );
    expect(change.row?.get('price')).toBe('99.5');
  });

  it('whose scale is out of the question is damaged', () => {
    expect(() => canonicalDecimal(1n, -2_000_000_000)).toThrow('a decimal of scale');
  });
});
