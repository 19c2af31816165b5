import type { AvroObject } from '../../schemas/contract.ts';
import { parseAvroType } from '../../schemas/avro-type.ts';
import type { KeptSchemas } from '../../schemas/schema-cache.ts';
import type { Logger } from '../log.ts';
import type { DimensionState, MetaWrite } from '../state/dimension-state.ts';

const PREFIX = 'schemas/';
/** Beyond any number of versions in use; the lowest id, which was given out first, goes first. */
const KEPT_MAX = 1_000;

/**
 * The schemas of one registry, in the state beside the rows, so that a restart needs no registry for ids
 * that were met before. A registry is known by its address and the Kafka cluster whose records name its ids;
 * entries of any other are dropped. What cannot be read, or stored, is asked for again.
 */
export async function openKeptSchemas(options: {
  state: Pick<DimensionState, 'getMeta' | 'listMeta' | 'putMeta' | 'removeMeta'>;
  registryUrl: string;
  clusterId: string;
  logger: Logger;
}): Promise<KeptSchemas> {
  const { state, registryUrl, clusterId, logger } = options;
  const own = `${PREFIX}${clusterId}/${encodeURIComponent(registryUrl.replace(/\/+$/, ''))}/`;
  const foreign = state.listMeta(PREFIX).filter(({ name }) => !name.startsWith(own));
  if (foreign.length > 0) await state.removeMeta(foreign.map(({ name }) => name));
  const write = async (schemaId: number, avroSchema: AvroObject): Promise<void> => {
    await state.putMeta(`${own}${schemaId}`, new TextEncoder().encode(JSON.stringify(avroSchema)));
    const ids = state.listMeta(own).map(({ name }) => Number(name.slice(own.length)));
    const surplus = ids.toSorted((a, b) => b - a).slice(KEPT_MAX);
    if (surplus.length > 0) await state.removeMeta(surplus.map((id) => `${own}${id}`));
  };
  return {
    get: (schemaId) => parseSchema(state.getMeta(`${own}${schemaId}`)),
    put(schemaId, avroSchema) {
      write(schemaId, avroSchema).catch((error: unknown) => {
        logger.warn('a schema was not stored: the next start asks the registry for it', {
          schemaId,
          error,
        });
      });
    },
  };
}

/** What a state keeps for any registry, to be taken over into one that is built anew. */
export function keptEntries(state: Pick<DimensionState, 'listMeta'>): readonly MetaWrite[] {
  return state.listMeta(PREFIX);
}

function parseSchema(bytes: Uint8Array | undefined): AvroObject | undefined {
  if (bytes === undefined) return undefined;
  try {
    const avroSchema = JSON.parse(new TextDecoder().decode(bytes)) as AvroObject;
    parseAvroType(avroSchema);
    return avroSchema;
  } catch {
    return undefined;
  }
}
