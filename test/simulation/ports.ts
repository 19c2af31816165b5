import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import type {
  Catalog,
  CommitTableRequest,
  PreparedCommit,
} from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { EnrichError } from '../../enrich/error.ts';
import type { GroupMember, Log, LogReader } from '../../enrich/source/log.ts';
import type { KeyValueStore } from '../../enrich/state/key-value-store.ts';
import type { ProjectionFiles } from '../../enrich/state/projection-files.ts';
import { ContractError } from '../../schemas/error.ts';
import type { Registry } from '../../schemas/registry.ts';
import type { SentCommits } from './sent-commits.ts';
import type { Fault, Outside } from './outside.ts';

const catalogAway = (message: string): Error => new CatalogError('unavailable', message);
const unknownOutcome = (message: string): Error => new CatalogError('commit-unknown', message);
const logAway = (message: string): Error => new EnrichError('unavailable', message);
const registryAway = (message: string): Error => new ContractError('unavailable', message);

/**
 * Readers that have nothing to do wait longer for their next record than in production: an append wakes them all
 * the same, and a second of virtual time costs less.
 */
const DIMENSION_WAIT_FACTOR = 30;
const IDLE_WAIT_FACTOR = 4;
/** What the click loop waits while nothing is due. */
const IDLE_WAIT_MS = 250;

/** A commit that is on its way and arrives when the schedule says so. */
export type DelayedCommit = { send: () => Promise<unknown> };

/** The catalog as one process reaches it. */
export function simulatedCatalog(
  twin: Catalog,
  outside: Outside,
  watch: { sent: SentCommits; delay: (commit: DelayedCommit) => void },
): Catalog {
  return {
    ensureNamespace: (namespace) =>
      outside.call('catalog', () => twin.ensureNamespace(namespace), catalogAway),
    createTable: (request) => outside.call('catalog', () => twin.createTable(request), catalogAway),
    dropTable: (identifier) => {
      watch.sent.dropped(identifier.name);
      return twin.dropTable(identifier);
    },
    loadTable: (identifier) =>
      outside
        .call('catalog', () => twin.loadTable(identifier), catalogAway)
        .then((loaded) => {
          if (loaded !== undefined) watch.sent.seen(identifier.name, loaded.metadata);
          return loaded;
        }),
    prepareCommit: (request) => watchedCommit(twin, request, { outside, ...watch }),
  };
}

function watchedCommit(
  twin: Catalog,
  request: CommitTableRequest,
  around: {
    outside: Outside;
    sent: SentCommits;
    delay: (commit: DelayedCommit) => void;
  },
): PreparedCommit {
  const { outside, sent, delay } = around;
  const prepared = twin.prepareCommit(request);
  const special = async (fault: Fault) => {
    if (fault === 'conflict') {
      throw new CatalogError('conflict', 'Requirement failed: branch main has changed');
    }
    if (fault === 'unauthorized') {
      // A token that has expired: the same bytes go out again under a new one.
      if (!sent.mayRefuse(prepared)) return prepared.send();
      throw new CatalogError('unauthorized', 'the token has expired');
    }
    delay(prepared);
    throw unknownOutcome('commit: no answer yet');
  };
  return {
    send: () => {
      sent.sending(prepared, request);
      return outside
        .call('commit', () => prepared.send(), unknownOutcome, special)
        .catch((error: unknown) => {
          sent.failed(prepared, error);
          throw error;
        });
    },
  };
}

/** The object store as one process reaches it. */
export function simulatedStore(
  twin: ObjectStore,
  outside: Outside,
  watch: {
    put: (location: string, bytes: Uint8Array) => void;
    deleted: (location: string) => void;
  },
): ObjectStore {
  return {
    put: (location, bytes, options) => {
      const put = async (whole: Uint8Array): Promise<void> => {
        await twin.put(location, whole, options);
        if (whole === bytes) watch.put(location, bytes);
      };
      const special = async (): Promise<void> => {
        await put(bytes.subarray(0, bytes.length >> 1));
        throw catalogAway('store put: stopped in the middle');
      };
      return outside.call('store put', () => put(bytes), catalogAway, special);
    },
    get: (location) => outside.call('store get', () => twin.get(location), catalogAway),
    getRange: (location, start, end) =>
      outside.call('store get', () => twin.getRange(location, start, end), catalogAway),
    size: (location) => outside.call('store get', () => twin.size(location), catalogAway),
    list: (prefix) => twin.list(prefix),
    delete: (location) => {
      watch.deleted(location);
      return twin.delete(location);
    },
  };
}

export function simulatedRegistry(twin: Registry, outside: Outside): Registry {
  return {
    ...twin,
    schemaById: (id) => outside.call('registry', () => twin.schemaById(id), registryAway),
  };
}

/** The state's store as one process reaches it; `applied` is told of every batch that it has taken. */
export function simulatedState(
  twin: KeyValueStore,
  outside: Outside,
  applied: (writes: Parameters<KeyValueStore['applyBatch']>[0]) => void,
): KeyValueStore {
  return {
    applyBatch: (writes) => {
      const apply = async (): Promise<void> => {
        await twin.applyBatch(writes);
        applied(writes);
      };
      return outside.call('state write', apply, logAway);
    },
    getMany: (keys) => outside.call('state read', () => twin.getMany(keys), logAway),
    scan: (range) => twin.scan(range),
    flush: () => twin.flush(),
    close: () => twin.close(),
  };
}

/** The files of the projections as one process reaches them. */
export function simulatedFiles(twin: ProjectionFiles, outside: Outside): ProjectionFiles {
  return {
    list: () => twin.list(),
    async write(name, pieces) {
      const whole: Uint8Array[] = [];
      // Now, for it may be written late, or twice.
      for await (const piece of pieces) whole.push(new Uint8Array(piece));
      async function* again() {
        yield* whole;
      }
      await outside.call('state write', () => twin.write(name, again()), logAway);
    },
    open: (name) => outside.call('state read', () => twin.open(name), logAway),
    remove: (name) => outside.call('state write', () => twin.remove(name), logAway),
  };
}

/** What is watched of the records that a process is handed. */
export type LogWatch = {
  seek: (topic: string, partition: number, nextOffset: number) => void;
  deliver: (topic: string, partition: number, offset: number) => void;
  joined: (member: GroupMember) => void;
};

export function simulatedLog(twin: Log, outside: Outside, watch: LogWatch): Log {
  return {
    describeTopic: (topic) => outside.call('log', () => twin.describeTopic(topic), logAway),
    deleteRetentionMs: (topic) => outside.call('log', () => twin.deleteRetentionMs(topic), logAway),
    bounds: (topic) => outside.call('log', () => twin.bounds(topic), logAway),
    // Opening one asks nobody.
    openReader: async () => watchedReader(await twin.openReader(), outside, watch),
    joinGroup: (options) =>
      outside.call(
        'group',
        async () => {
          const member = await twin.joinGroup(options);
          watch.joined(member);
          return {
            assignment: () => member.assignment(),
            generation: () => member.generation(),
            onChange: (listener) => member.onChange(listener),
            commitOffsets: (position) =>
              outside.call('group', () => member.commitOffsets(position), logAway),
            leave: () => outside.life.ask(() => member.leave()),
          };
        },
        logAway,
      ),
    close: () => outside.life.ask(() => twin.close()),
  };
}

function watchedReader(reader: LogReader, outside: Outside, watch: LogWatch): LogReader {
  let isDimension = false;
  return {
    assign(positions) {
      isDimension = positions[0]?.topic.startsWith('app.public.') ?? false;
      reader.assign(positions);
      for (const { topic, partition, nextOffset } of positions) {
        watch.seek(topic, partition, Number(nextOffset));
      }
    },
    poll(sink, { waitMsMax, bytesMax }) {
      const idle = waitMsMax === IDLE_WAIT_MS ? IDLE_WAIT_FACTOR : 1;
      const factor = isDimension ? DIMENSION_WAIT_FACTOR : idle;
      const limits = { waitMsMax: waitMsMax * factor, bytesMax };
      const poll = () =>
        reader.poll((topic, partition, records) => {
          // A killed process takes nothing in any more.
          if (!outside.life.alive) return;
          const base = Number(records.baseOffset);
          for (let row = 0; row < records.count; row += 1) {
            watch.deliver(topic, partition, base + (records.offsetDelta[row] ?? 0));
          }
          sink(topic, partition, records);
        }, limits);
      return outside.call('log', poll, logAway);
    },
    close: () => outside.life.ask(() => reader.close()),
  };
}
