import type { Millis } from "#pkg/clock";
import { endpointsFor, type ServiceSpec } from "../api/objects.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
import { entries } from "./occupied.ts";
import { ableAt, candidatesOf } from "./ownership-sample.ts";
import { asksForOther, byRoutes, holdersOf, inKernels, mayShare, poolOf, withoutOwners } from "./promised.ts";

/** Promise 5: differences between a cluster to which nothing has happened for long enough, and one that has just started. */
export function wrongAtRest(cluster: SimulatedCluster): string | undefined {
  const shared = wronglyShared(cluster);
  if (shared !== undefined) return shared;
  const owners = cluster.owners();
  const routes = cluster.router.routes();
  const expected = new Set<string>();
  for (const [name, spec] of cluster.people.services) {
    const addresses = cluster.people.status(name);
    const missing = unmet(cluster, name, spec, addresses);
    if (missing !== undefined) return missing;
    for (const address of addresses) {
      expected.add(address);
      const sharers = [...cluster.people.services]
        .filter(([other]) => cluster.people.status(other).includes(address))
        .map(([, each]) => each);
      const able = ableFor(cluster, address);
      const candidates = candidatesOf(cluster, address, sharers, able);
      // The label of a drained node may come back with the API. It keeps routes of `Local` Services until its last endpoint goes.
      const isServing = (node: number) => sharers.some((each) => each.isLocal && endpointsFor(each, address).includes(node));
      const keeping = able.filter((node) => cluster.nodes.isDrained(node) && isServing(node));
      const has = { owners: owners.get(address) ?? [], routers: routes.get(prefixOf(address)) ?? [] };
      const announced = misplaced(cluster, address, candidates, keeping, has);
      if (announced !== undefined) return `${address} of ${name} ${announced}`;
      const kept = wrongInKernels(cluster, address, sharers, able);
      if (kept !== undefined) return kept;
    }
  }
  for (const [node, { routed }] of cluster.speakers)
    for (const address of routed) if (!expected.has(address)) return `node-${node} has ${address} of no Service in its kernel`;
  for (const address of owners.keys())
    if (!expected.has(address)) return `${address} of no Service is answered for by ${owners.get(address)}`;
  for (const prefix of routes.keys())
    if (!expected.has(prefix.slice(0, prefix.indexOf("/")))) return `the router has ${prefix} of no Service`;
  const [occupied] = entries(cluster).filter((address) => !cluster.lan.foreign.has(address));
  if (occupied !== undefined) return `ingot-conflicts has ${occupied}, which no host uses`;
  const leaders = cluster.weather.forbidden === "leases" ? cluster.controllers.size : 1;
  if ([...cluster.controllers.values()].filter(({ isLeader }) => isLeader).length !== leaders)
    return `not ${leaders === 1 ? "one controller leads" : "each controller leads alone"}`;
  return undefined;
}

function wronglyShared(cluster: SimulatedCluster): string | undefined {
  for (const [name, spec] of cluster.people.services)
    for (const address of cluster.people.status(name))
      for (const other of holdersOf(cluster, address)) {
        const theirs = cluster.people.services.get(other);
        if (other !== name && theirs !== undefined && !mayShare(spec, theirs))
          return `${address} is at ${name} and ${other}, which may not share it`;
      }
  return undefined;
}

/** Nodes that serve an address have it in their kernels, and no others, where its pool asks for that. */
function wrongInKernels(
  { speakers }: SimulatedCluster,
  address: string,
  sharers: readonly ServiceSpec[],
  able: readonly number[],
): string | undefined {
  const isServing = (node: number, spec: ServiceSpec) => {
    const on = endpointsFor(spec, address);
    return on.length > 0 && (!spec.isLocal || on.includes(node));
  };
  for (const [node, { routed }] of speakers) {
    const should = inKernels.has(poolOf(address)) && able.includes(node) && sharers.some((each) => isServing(node, each));
    if (routed.has(address) !== should) return `node-${node} has ${should ? "not " : ""}${address} in its kernel`;
  }
  return undefined;
}

/** Why a Service has not what it can have. */
export function unmet(
  cluster: SimulatedCluster,
  name: string,
  spec: ServiceSpec,
  addresses: readonly string[],
): string | undefined {
  const { wanted, pool } = spec;
  if (wanted?.split(",").some((address) => holdersOf(cluster, address).length > 0)) return undefined;
  if (addresses.length === 0) return `${name} has nothing`;
  if (wanted !== undefined) return `${name} asks for ${wanted}, which is free, and has ${addresses}`;
  if (!asksForOther(spec, addresses) && !addresses.some((address) => poolOf(address) === "moved")) return undefined;
  return `${name} asks for ${pool.includes(",") ? "pools" : "pool"} ${pool} and has ${addresses}`;
}

// A node that was unable to deliver again and again waits for longer than a cluster rests.
const longHoldMs: Millis = 120_000;

/** An address of a NIC is where the speaker may put it, on a drained node where no other one's may. */
function ableFor(cluster: SimulatedCluster, address: string): number[] {
  return ableAt(cluster, address).filter((node) => poolOf(address) !== "nic" || cluster.speakers.get(node)?.hasNetAdmin);
}

function waitsForLong({ speakers }: SimulatedCluster, node: number, address: string): boolean {
  const dataPath = speakers.get(node)?.state.dataPath[address.includes(":") ? "IPv6" : "IPv4"];
  return dataPath !== undefined && dataPath.broken.length > 0 && dataPath.holdMs >= longHoldMs;
}

/**
 * In what an address is not announced as its pool asks for: a Service whose wish cannot be met keeps what it has, of whatever pool. A sticky
 * pool prefers nodes only when these have been the same for long. @param keeping nodes that keep routes, but do not own the address
 */
function misplaced(
  cluster: SimulatedCluster,
  address: string,
  candidates: readonly number[],
  keeping: readonly number[],
  { owners, routers }: { readonly owners: readonly number[]; readonly routers: readonly string[] },
): string | undefined {
  const pool = poolOf(address);
  const able = candidates.filter((node) => !waitsForLong(cluster, node, address));
  const lasting = able.length > 0 ? able : candidates;
  const preferred = lasting.filter((node) => cluster.nodes.isEdge(node));
  const mayOwn = pool === "lan" && preferred.length > 0 ? preferred : lasting;
  const names = (nodes: readonly number[]) => nodes.map((node) => `node-${node}`).join();
  const byLayer2 = !withoutOwners.has(pool);
  const [owner, ...more] = owners;
  const isOwned =
    owner === undefined ? mayOwn.length === 0 || !byLayer2 : byLayer2 && mayOwn.includes(owner) && more.length === 0;
  if (!isOwned) return `is at ${names(owners) || "nobody"}, of ${(byLayer2 && names(mayOwn)) || "nobody"}`;
  const wanted = byRoutes.has(pool)
    ? [...new Set([...able, ...keeping])]
        .map((node) => cluster.neighborOf(node))
        .sort()
        .join()
    : "";
  return routers.join() === wanted ? undefined : `has routes through ${routers.join() || "nobody"}, of ${wanted || "nobody"}`;
}
