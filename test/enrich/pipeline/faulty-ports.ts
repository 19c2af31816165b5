import { CatalogError } from '@iceberg-js/rest-client-shim/error.ts';
import type { CommitFault } from '@iceberg-js/rest-client-shim/memory/memory-catalog.ts';
import type { Catalog, CommitTableRequest } from '@iceberg-js/rest-client-shim/rest/catalog.ts';
import type { ObjectStore } from '@iceberg-js/rest-client-shim/store/object-store.ts';
import { EnrichError } from '../../../enrich/error.ts';
import type { GroupMember, Log, LogReader } from '../../../enrich/source/log.ts';
import { ContractError } from '../../../schemas/error.ts';
import type { Registry } from '../../../schemas/registry.ts';
import type { Life } from './process.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What becomes of one sending of a commit, beyond what the catalog itself can do to it. */
export type SendFault =
  | CommitFault
  /** The process dies with the request unsent, or with its answer on the way. */
  | 'crash-before'
  | 'crash-after'
  /** The process freezes with the request unsent; it goes out when the process thaws. */
  | 'freeze-before';

/** The weather of the simulated world; tests change it as they go. */
export type Faults = {
  away: Set<'log' | 'dimension topics' | 'registry' | 'catalog' | 'store' | 'state'>;
  /** How long a commit takes to reach the catalog. */
  commitDelayMs: number;
  commit: (request: CommitTableRequest, processName: string) => SendFault;
  /** What the next write to a state fails with; it stays so until that state is opened again. */
  stateWrites?: 'reopen' | 'rebuild' | undefined;
};

type Surroundings = { life: Life; faults: Faults; time: VirtualTime; processName: string };

export function faultyCatalog(
  catalog: Catalog,
  { life, faults, time, processName }: Surroundings,
  setFault: (fault: CommitFault) => void,
): Catalog {
  const assertThere = (): void => {
    if (faults.away.has('catalog')) throw new CatalogError('unavailable', 'the catalog is away');
  };
  const guarded = life.guard(catalog);
  return {
    ensureNamespace: (namespace) => guarded.ensureNamespace(namespace),
    createTable: (request) => guarded.createTable(request),
    dropTable: (identifier) => guarded.dropTable(identifier),
    loadTable: (identifier) =>
      life.ask(async () => {
        assertThere();
        return catalog.loadTable(identifier);
      }),
    prepareCommit(request) {
      const prepared = catalog.prepareCommit(request);
      const sendAs = (fault: CommitFault) => {
        setFault(fault);
        return prepared.send();
      };
      const send = async () => {
        const fault = faults.away.has('catalog') ? 'fail' : faults.commit(request, processName);
        if (faults.commitDelayMs > 0) await time.sleep(faults.commitDelayMs);
        switch (fault) {
          case 'crash-before':
            life.kill();
            await life.running();
            return sendAs('fail');
          case 'crash-after':
            await sendAs('apply').catch(() => undefined);
            life.kill();
            await life.running();
            return sendAs('fail');
          case 'freeze-before':
            life.freeze();
            await life.running();
            return sendAs('apply');
          case 'apply':
          case 'fail':
          case 'apply-then-fail':
          case 'apply-twice':
          case 'conflict':
          case 'delay':
            return sendAs(fault);
        }
      };
      return { send: () => life.ask(send) };
    },
  };
}

export function faultyStore(store: ObjectStore, { life, faults }: Surroundings): ObjectStore {
  const guarded = life.guard(store);
  return {
    get: (location) => guarded.get(location),
    getRange: (location, start, end) => guarded.getRange(location, start, end),
    size: (location) => guarded.size(location),
    list: (prefix) => guarded.list(prefix),
    delete: (location) => guarded.delete(location),
    put: (location, bytes, options) =>
      life.ask(async () => {
        if (faults.away.has('store')) throw new CatalogError('unavailable', 'the store is away');
        return store.put(location, bytes, options);
      }),
  };
}

export function faultyRegistry(registry: Registry, { life, faults }: Surroundings): Registry {
  return {
    ...life.guard(registry),
    schemaById: (id) =>
      life.ask(async () => {
        if (faults.away.has('registry')) {
          throw new ContractError('unavailable', 'the registry is away');
        }
        return registry.schemaById(id);
      }),
  };
}

/** The log as one process sees it; `polls` counts its polls by topic. */
export function faultyLog(
  log: Log,
  { life, faults }: Surroundings,
  observed: { polls: Map<string, number>; joined: (member: GroupMember) => void },
): Log {
  const assertThere = (topics: ReadonlySet<string>): void => {
    const isDimension = [...topics].some((topic) => topic.startsWith('app.public.'));
    if (faults.away.has('log') || (isDimension && faults.away.has('dimension topics'))) {
      throw new EnrichError('unavailable', 'the log is away');
    }
  };
  const openReader = async (): Promise<LogReader> => {
    const reader = await log.openReader();
    let topics: ReadonlySet<string> = new Set();
    return {
      assign(positions) {
        topics = new Set(positions.map(({ topic }) => topic));
        reader.assign(positions);
      },
      poll: (sink, limits) =>
        life.ask(async () => {
          for (const topic of topics) {
            observed.polls.set(topic, (observed.polls.get(topic) ?? 0) + 1);
          }
          assertThere(topics);
          // A killed process takes nothing in any more.
          return reader.poll((...records) => {
            if (life.alive) sink(...records);
          }, limits);
        }),
      close: () => life.ask(() => reader.close()),
    };
  };
  return {
    describeTopic: (topic) =>
      life.ask(async () => {
        assertThere(new Set());
        return log.describeTopic(topic);
      }),
    deleteRetentionMs: (topic) =>
      life.ask(async () => {
        assertThere(new Set());
        return log.deleteRetentionMs(topic);
      }),
    bounds: (topic) =>
      life.ask(async () => {
        assertThere(new Set());
        return log.bounds(topic);
      }),
    openReader: () => life.ask(openReader),
    joinGroup: (options) =>
      life.ask(async () => {
        assertThere(new Set());
        const member = await log.joinGroup(options);
        observed.joined(member);
        return {
          assignment: () => member.assignment(),
          generation: () => member.generation(),
          onChange: (listener) => member.onChange(listener),
          commitOffsets: (position) => life.ask(() => member.commitOffsets(position)),
          leave: () => life.ask(() => member.leave()),
        };
      }),
    close: () => life.ask(() => log.close()),
  };
}
