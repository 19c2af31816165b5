import { readFileSync } from 'node:fs';
import { openAvroEncoder } from '../../generate/avro.ts';
import {
  DEFAULT_CLICK_SHAPE,
  openClickSource,
  type ClickShape,
  type ClickSource,
} from '../../generate/clicks.ts';
import { VIOLATING_AVRO_SCHEMA } from '../../generate/corrupt.ts';
import type { Contract } from '../../schemas/contract.ts';

export const CLICK_SCHEMA_ID = 41;
export const VIOLATING_SCHEMA_ID = 42;

export const clickContract: Contract = {
  name: 'click',
  avroSchema: JSON.parse(readFileSync('schemas/click.avsc', 'utf8')) as Contract['avroSchema'],
};

export const smallShape: ClickShape = {
  ...DEFAULT_CLICK_SHAPE,
  users: 500,
  devices: 800,
  urls: 200,
};

export function clickSource(seed: number, shape: ClickShape = smallShape): ClickSource {
  return openClickSource({
    seed,
    shape,
    partitions: 4,
    encoding: {
      schemaId: CLICK_SCHEMA_ID,
      encode: openAvroEncoder(clickContract.avroSchema),
      violation: {
        schemaId: VIOLATING_SCHEMA_ID,
        encode: openAvroEncoder(VIOLATING_AVRO_SCHEMA),
      },
    },
  });
}
