import type { Assignments } from "#pkg/assignment";
import type { Config } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { list } from "#pkg/text";
import { newTrial, serviceChanges, tryAddresses } from "./address-change.ts";
import { changedFields } from "./changed-fields.ts";
import { type Placements, placeAll } from "./place-all.ts";
import type { Route } from "./place-by-bgp.ts";
import type { Placed } from "./placed.ts";
import { overPrefixLimits } from "./prefix-limits.ts";
import { bfdChanges, sessionChanges } from "./session-change.ts";
import type { ClusterState } from "./state.ts";

export interface PoolChange {
  readonly pool: string;
  readonly change: "added" | "removed" | "changed";
  /** Addresses that can be assigned, and protocols; empty where there is no such pool. Where these are the same, the fields that are not. */
  readonly before: string;
  readonly after: string;
}

export interface PrefixChange {
  readonly prefix: string;
  readonly peer: string;
  readonly change: "announced" | "withdrawn" | "changed";
  /** In words; empty for no routes. */
  readonly before: string;
  readonly after: string;
  readonly nodes: readonly string[];
}

export interface OwnerChange {
  readonly address: string;
  readonly services: readonly string[];
  /** Nodes. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Differences if another configuration were in force. */
export type ConfigChange = ReturnType<typeof configChange>;

/** Tries a configuration on a cluster, by the decisions of controller and speakers. */
export function configChange(state: ClusterState, config: Config) {
  const trial = newTrial();
  for (const _ of tryAddresses(state, config, trial));
  const { stranded } = trial;
  const [now, then] = [trial.before, trial.after] as [Assignments, Assignments]; // It came to its end.
  const services = serviceChanges(trial);
  const kept = [...then.decisions].filter(([, { allocation }]) => allocation !== undefined).length;
  const before = settled(state, now);
  const after = { ...settled(state, then), config };
  const placedBefore = placeAll(before);
  const placedAfter = placeAll(after);
  return {
    // Where not, the rest is what it would do else.
    isAccepted: stranded.size === 0 || state.mayRenumber,
    // Services with addresses that would have no pool -> these. The configuration is refused then, unless the ConfigMap allows it.
    stranded,
    services,
    // Services that keep their addresses.
    kept: kept - services.filter(({ change }) => change === "gains" || change === "changes").length,
    pools: poolChanges(state.config, now, config, then),
    sessions: sessionChanges(before, after),
    bfd: bfdChanges(before, after),
    prefixes: prefixChanges(placedBefore.routes, placedAfter.routes),
    // Addresses that are kept, and announced by other nodes.
    owners: ownerChanges(placedBefore, placedAfter),
    // Names of other settings that differ, whose effects come later.
    settings: changedFields(settingsOf(state.config), settingsOf(config)),
    // Sessions that routers would end because of their limits, in sentences.
    overLimits: overPrefixLimits(after),
  };
}

function settingsOf({ quotas, failover }: Config): object {
  return { quotas, failover };
}

/** An address is compared by the same protocol, or by one that takes the place of another. */
function ownerChanges(before: Placements, after: Placements): OwnerChange[] {
  const [formerly, then] = [before, after].map(({ addresses }) => Map.groupBy(addresses.values(), ({ address }) => address));
  return [...after.addresses.values()].flatMap(({ address, protocol, services, nodes }): OwnerChange[] => {
    const was = formerly?.get(address) ?? [];
    const isLeft = (one: Placed) => then?.get(address)?.some((other) => other.protocol === one.protocol) !== true;
    const earlier = was.find((one) => one.protocol === protocol) ?? was.find(isLeft);
    if (earlier === undefined || earlier.nodes.join() === nodes.join()) return [];
    return [{ address, services, before: earlier.nodes, after: nodes }];
  });
}

function poolChanges(before: Config, now: Assignments, after: Config, then: Assignments): PoolChange[] {
  const [was, is] = [poolTexts(before, now), poolTexts(after, then)];
  const former = new Map(before.pools.map((pool) => [pool.name, pool]));
  for (const pool of after.pools) {
    const [{ name }, text] = [pool, is.get(pool.name)];
    const others = changedFields(former.get(name) ?? pool, pool);
    if (text === was.get(name) && others.length > 0) is.set(name, `${text}, other ${list(others)}`);
  }
  return [...new Set([...was.keys(), ...is.keys()])].flatMap((pool): PoolChange[] => {
    const [old = "", current = ""] = [was.get(pool), is.get(pool)];
    if (old === current) return [];
    return [{ pool, change: old === "" ? "added" : current === "" ? "removed" : "changed", before: old, after: current }];
  });
}

/** Pool -> such as `256 by layer2, bgp`. */
function poolTexts({ pools }: Config, { usage }: Assignments): Map<string, string> {
  const totals = new Map(usage.map(({ pool, total }) => [pool, total]));
  return new Map(pools.map(({ name, protocols }) => [name, `${totals.get(name)} by ${protocols.join(", ") || "none"}`]));
}

/** With the statuses that the controller writes. */
function settled(state: ClusterState, { decisions }: Assignments): ClusterState {
  const services = state.services.map((service): Service => {
    const status = decisions.get(service.key)?.status;
    return status === undefined ? service : { ...service, ingress: status };
  });
  return { ...state, services };
}

function prefixChanges(before: ReadonlyMap<string, Route>, after: ReadonlyMap<string, Route>): PrefixChange[] {
  const [was, is] = [byPeer(before), byPeer(after)];
  const changes = [...new Set([...was.keys(), ...is.keys()])].sort().flatMap((key): PrefixChange[] => {
    const [old, now] = [was.get(key), is.get(key)];
    const { prefix, peer } = (now ?? old) as NonNullable<typeof now>;
    const nodes = [...((now ?? old)?.nodes ?? [])].sort();
    const common = { prefix, peer, before: old?.attributes ?? "", after: now?.attributes ?? "", nodes };
    if (old === undefined) return [{ ...common, change: "announced" }];
    if (now === undefined) return [{ ...common, change: "withdrawn" }];
    return old.attributes === now.attributes && [...old.nodes].sort().join() === nodes.join()
      ? []
      : [{ ...common, change: "changed" }];
  });
  return changes;
}

/**
 * All attributes of several advertisements for one prefix to one peer together: the order of the peer's list says which one counts.
 */
function byPeer(routes: ReadonlyMap<string, Route>): ReadonlyMap<string, Route> {
  const found = new Map<string, Route>(); // prefix and peer -> all of its routes as one
  for (const route of routes.values()) {
    const key = `${route.prefix} ${route.peer}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, route);
    else
      found.set(key, {
        ...known,
        attributes: [known.attributes, route.attributes].sort().join(" or "),
        nodes: new Set([...known.nodes, ...route.nodes]),
      });
  }
  return found;
}
