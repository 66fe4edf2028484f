import { type Assignments, assigning } from "#pkg/assignment";
import { type Config, PoolIndex } from "#pkg/config";
import { strandedBy } from "#pkg/live-config";
import { recordedHoldings } from "#pkg/service";
import { list, quote } from "#pkg/text";
import type { ClusterState } from "./state.ts";

export interface ServiceChange {
  /** `namespace/name`. */
  readonly service: string;
  /**
   * `gains`: it had no address, `loses`: it has no address any more, `changes`: it has others, `pool`: it has the same, from another pool.
   * `refused`: it keeps its addresses, if any, and is refused something else than before.
   */
  readonly change: "gains" | "loses" | "changes" | "pool" | "refused";
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** Why, in a sentence; empty where what it asks for says it all. */
  readonly why: string;
}

/** The part of the state that addresses depend on. */
export type AddressState = Pick<ClusterState, "config" | "services" | "occupied" | "namespaces">;

/** A trial of a configuration, as far as it has come. */
export interface AddressTrial {
  /** Services with addresses that would have no pool -> these. */
  readonly stranded: Map<string, readonly string[]>;
  /** How many Services have been looked at for these. */
  looked: number;
  /** The present assignments of all Services; undefined until they are known. */
  before: Assignments | undefined;
  /** Service key -> what it would get; of those that were decided on. */
  decisions: Assignments["decisions"];
  /** Undefined before the end. */
  after: Assignments | undefined;
}

export function newTrial(): AddressTrial {
  return { stranded: new Map(), looked: 0, before: undefined, decisions: new Map(), after: undefined };
}

/** Tries which addresses all Services would have with another configuration, some steps for each of them. Fills `trial`. */
export function* tryAddresses(state: AddressState, config: Config, trial: AddressTrial): Generator<unknown, void> {
  const { services, occupied, namespaces } = state;
  const [before, after] = [new PoolIndex(state.config.pools), new PoolIndex(config.pools)];
  for (const service of services) {
    // The live configuration judges in the same way: only addresses that a Service may hold now count.
    const addresses = strandedBy([recordedHoldings(service)], before, after);
    if (addresses.length > 0) trial.stranded.set(service.key, addresses.map(String));
    trial.looked++;
    yield;
  }
  trial.before = yield* assigning(services, state.config, occupied, namespaces);
  const steps = assigning(services, config, occupied, namespaces);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) {
      trial.after = step.value;
      trial.decisions = step.value.decisions;
      return;
    }
    trial.decisions = step.value;
    yield;
  }
}

/** The changes of Services that were decided on. */
export function serviceChanges({ before, decisions }: AddressTrial): ServiceChange[] {
  if (before === undefined) return [];
  return [...decisions.keys()].flatMap((key) => serviceChange(key, before.decisions, decisions) ?? []);
}

function serviceChange(key: string, now: Assignments["decisions"], then: Assignments["decisions"]): ServiceChange | undefined {
  const [was, is] = [now.get(key), then.get(key)];
  const before = was?.allocation?.addresses.map(String) ?? [];
  const after = is?.allocation?.addresses.map(String) ?? [];
  const why = is?.warning?.verdict.message ?? "";
  const changed = (change: ServiceChange["change"]): ServiceChange => ({ service: key, change, before, after, why });
  if (before.join() !== after.join()) {
    if (before.length === 0) return changed("gains");
    return changed(after.length === 0 ? "loses" : "changes");
  }
  const [oldPools, newPools] = [was, is].map((one) => one?.allocation?.pools.join(" and "));
  if (oldPools !== newPools) return { ...changed("pool"), why: `from pool ${oldPools} to pool ${newPools}` };
  const cause = is?.warning?.verdict.cause;
  return cause !== undefined && cause !== was?.warning?.verdict.cause ? changed("refused") : undefined;
}

/** Why Services may get other addresses than these changes say, in sentences: nobody asks NetBox what it has. */
export function doubtsOfNetbox(changes: readonly ServiceChange[], { pools }: Pick<Config, "pools">): readonly string[] {
  const names = pools.flatMap(({ name, netbox }) => (netbox === undefined ? [] : [quote(name)]));
  if (names.length === 0 || changes.every(({ change }) => change === "pool")) return [];
  return [`NetBox is not asked: Services may get other addresses, where pools are kept there (${list(names)})`];
}
