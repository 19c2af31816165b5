import type { PipelineConfig } from '../../enrich/config/pipeline-config.ts';
import { loadCrc32c } from '../../enrich/source/wire/crc32c.ts';
import { openAvroEncoder, writeFrame } from '../../generate/avro.ts';
import type { AvroObject } from '../../schemas/contract.ts';
import { registerWith } from '../dimension-topics.ts';
import { openBatchProducer } from '../kafka/batch-producer.ts';
import { openRecordBatch } from '../kafka/record-batch.ts';
import { openClickModel } from './click-model.ts';
import { brokerOf, CLICK_PARTITIONS, type DataSet, type Skew } from './data-set.ts';

/** The clicks of a data set, one after the other, while they are due. */
export type LiveClicks = {
  /** Sends the next clicks, acknowledged when it resolves. One call at a time. */
  send(count: number, nowMs: number): Promise<void>;
  /** How many there are so far; click `index` is where `clickIndexOf` finds it. */
  readonly sent: number;
  close(): Promise<void>;
};

const BATCH_BYTES = 16_384;
const RECORD_BYTES_MAX = 8_192;

/** Into a topic that is empty. Errors: those of registry and broker. */
export async function openLiveClicks(options: {
  config: PipelineConfig;
  avroSchema: AvroObject;
  dataSet: DataSet;
  skew: Skew;
}): Promise<LiveClicks> {
  const { config, avroSchema, dataSet, skew } = options;
  const { topic } = config.stream;
  const { seed, size } = dataSet;
  const schemaId = await registerWith(config)(`${topic}-value`, JSON.stringify(avroSchema));
  const encode = openAvroEncoder(avroSchema);
  const model = openClickModel({ seed, size, skew });
  const producer = await openBatchProducer(brokerOf(config));
  const { sum: crc32c } = loadCrc32c();
  const open = Array.from({ length: CLICK_PARTITIONS }, () =>
    openRecordBatch({ bytesExpected: BATCH_BYTES, crc32c }),
  );
  const value = Buffer.alloc(RECORD_BYTES_MAX);
  let sent = 0;
  return {
    get sent() {
      return sent;
    },
    async send(count, nowMs) {
      for (let index = sent; index < sent + count; index += 1) {
        const click = model.at(index);
        const end = encode(click, value, writeFrame(schemaId, value, 0));
        const key = Buffer.from(String(click.user_id));
        open[index % CLICK_PARTITIONS]?.append(key, value.subarray(0, end));
      }
      sent += count;
      const batches = open.flatMap((batch, partition) =>
        batch.count === 0 ? [] : [{ topic, partition, batch: batch.take(nowMs) }],
      );
      await producer.send(batches);
    },
    close: () => producer.close(),
  };
}
