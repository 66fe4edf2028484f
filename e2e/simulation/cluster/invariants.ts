import type { Millis } from "#pkg/clock";
import type { Change } from "./kubernetes-api.ts";
import { keyOf, type ServiceSpec } from "./objects.ts";
import { ingressOf, prefixOf, type SimulatedCluster } from "./simulated-cluster.ts";

// From when the two nodes hear one another and agree on the members: so long two may answer for an address.
const handOverMs: Millis = 6_000;
// The hold time and the graceful restart time of the configuration, and a second to notice.
const detectionMs: Millis = 9_000 + 20_000 + 1_500;

/**
 * What is promised, and watched while a history runs. Problems are sentences for people.
 *
 * Always: an address is at one Service, or at several that may share it; it does not change unless somebody changed what the Service asks for; a
 * router has no route through a node that is gone for longer than it takes to find out; two nodes that reach one another do not both answer for an
 * address for longer than a hand-over. At the end: everything is as a cluster that starts anew would have it.
 */
export class Invariants {
  problem: string | undefined;
  readonly #touched = new Set<string>(); // keys of Services that people changed since they got what they have
  readonly #twiceSince = new Map<string, Millis>(); // address -> since when two answer for it that could know

  /** For the API's changes, in their order. */
  changed(cluster: SimulatedCluster, { plural, key, type, object, before }: Change, byPeople: boolean): void {
    if (plural !== "services") return;
    if (byPeople) this.#touched.add(key);
    if (type === "DELETED" || byPeople) return;
    const [was, is] = [ingressOf(before), ingressOf(object)];
    if (was.join() === is.join()) return;
    cluster.note(`${key} has ${is.join(" and ") || "no address"}`);
    // One that waits for the address it asks for keeps what it has until then.
    const isWish = is.join() === cluster.services.get(object.metadata.name)?.wanted;
    if (was.length > 0 && !this.#touched.has(key) && !isWish)
      this.#found(cluster, `${key} had ${was} and has ${is}, although nobody changed it`);
    this.#touched.delete(key);
    this.#checkHolders(cluster);
  }

  /** To be called often. */
  check(cluster: SimulatedCluster): void {
    this.#checkOwners(cluster);
    for (const [prefix, neighbors] of cluster.router.routes())
      for (const neighbor of neighbors) {
        const gone = cluster.goneSince(Number(neighbor.slice("node-".length)));
        if (gone !== undefined && cluster.now - gone > detectionMs)
          this.#found(cluster, `the router has a route to ${prefix} through ${neighbor}, which is gone since ${gone} ms`);
      }
  }

  /** What is not as it should be once nothing has happened for long enough. */
  checkAtRest(cluster: SimulatedCluster): string | undefined {
    const owners = cluster.owners();
    const routes = cluster.router.routes();
    const expected = new Set<string>();
    for (const [name, spec] of cluster.services) {
      const addresses = cluster.status(name);
      const unmet = this.#unmet(cluster, name, spec, addresses);
      if (unmet !== undefined) return unmet;
      for (const address of addresses) {
        expected.add(address);
        const sharers = [...cluster.services]
          .filter(([other]) => cluster.status(other).includes(address))
          .map(([, each]) => each);
        const candidates = candidatesOf(cluster, sharers);
        const isRouted = poolOf(address) === "routed"; // A Service whose wish cannot be met keeps what it has, of whatever pool.
        const who = isRouted ? routes.get(prefixOf(address)) : owners.get(address)?.map((node) => `node-${node}`);
        const found = who?.join() ?? "";
        const wanted = candidates.map((node) => `node-${node}`);
        const right = isRouted ? found === wanted.join() : wanted.length === 0 ? found === "" : wanted.includes(found);
        if (!right) return `${address} of ${name} is at ${found || "nobody"}, of ${wanted.join() || "nobody"}`;
      }
    }
    for (const address of owners.keys())
      if (!expected.has(address)) return `${address} of no Service is answered for by ${owners.get(address)}`;
    for (const prefix of routes.keys())
      if (!expected.has(prefix.slice(0, prefix.indexOf("/")))) return `the router has ${prefix} of no Service`;
    if ([...cluster.controllers.values()].filter(({ isLeader }) => isLeader).length !== 1) return "not one controller leads";
    return undefined;
  }

  /** Why a Service has not what it can have. */
  #unmet(
    cluster: SimulatedCluster,
    name: string,
    { wanted, isDual, pool }: ServiceSpec,
    addresses: readonly string[],
  ): string | undefined {
    if (wanted !== undefined) {
      if (addresses.includes(wanted)) return undefined;
      const taken = [...cluster.services.keys()].some((other) => other !== name && cluster.status(other).includes(wanted));
      return taken ? undefined : `${name} asks for ${wanted}, which is free, and has ${addresses.join() || "nothing"}`;
    }
    const families = addresses.map((address) => (address.includes(":") ? 6 : 4)).sort();
    if (families.join() !== (isDual ? "4,6" : "4")) return `${name} has ${addresses.join() || "nothing"}`;
    const outside = addresses.find((address) => poolOf(address) !== pool);
    return outside === undefined ? undefined : `${name} asks for pool ${pool} and has ${outside}`;
  }

  #checkHolders(cluster: SimulatedCluster): void {
    const holders = new Map<string, string[]>(); // address -> names
    for (const name of cluster.services.keys())
      for (const address of cluster.status(name)) holders.set(address, [...(holders.get(address) ?? []), name]);
    for (const [address, names] of holders) {
      if (names.length < 2) continue;
      const specs = names.map((name) => cluster.services.get(name));
      const [first] = specs;
      const ports = new Set(specs.map((spec) => spec?.port));
      const touched = names.some((name) => this.#touched.has(keyOf(name)));
      const mayShare =
        first?.sharing !== undefined && specs.every((spec) => spec?.sharing === first.sharing) && ports.size === names.length;
      // What somebody has just changed may not have been looked at yet.
      if (!mayShare && !touched) this.#found(cluster, `${address} is at ${names.join(" and ")}, which may not share it`);
    }
  }

  #checkOwners(cluster: SimulatedCluster): void {
    const agreed = cluster.ring.isConverged();
    const owners = cluster.owners();
    for (const [address, nodes] of owners) {
      const hear = nodes.every((from) => nodes.every((to) => from === to || cluster.ring.reaches(from, to)));
      const bad = agreed && hear && nodes.length > 1 && nodes.every((node) => !cluster.speakers.get(node)?.process.isStalled);
      if (!bad) this.#twiceSince.delete(address);
      else if (!this.#twiceSince.has(address)) this.#twiceSince.set(address, cluster.now);
      const since = this.#twiceSince.get(address);
      if (since !== undefined && cluster.now - since > handOverMs)
        this.#found(cluster, `${address} is at ${nodes.map((node) => `node-${node}`).join(" and ")} since ${since} ms`);
    }
    for (const address of this.#twiceSince.keys()) if (!owners.has(address)) this.#twiceSince.delete(address);
  }

  #found(cluster: SimulatedCluster, problem: string): void {
    this.problem ??= `at ${cluster.now} ms: ${problem}`;
  }
}

/** The nodes that may announce an address of these Services, which share it; all of them, sorted. */
function candidatesOf(cluster: SimulatedCluster, sharers: readonly ServiceSpec[]): number[] {
  const able = [...cluster.speakers]
    .filter(([node, { process }]) => process.isRunning && !cluster.excluded.has(node))
    .map(([node]) => node)
    .sort((a, b) => a - b);
  const may = able.filter((node) =>
    sharers.some(({ isLocal, endpoints }) => (isLocal ? endpoints.includes(node) : endpoints.length > 0)),
  );
  return may;
}

function poolOf(address: string): string {
  if (address.startsWith("198.51.100.") || address.startsWith("2001:db8:1:")) return "routed";
  const last = address.includes(":") ? Number.parseInt(address.split(":").at(-1) || "0", 16) : Number(address.split(".")[3]);
  return last >= 64 ? "more" : last >= 32 ? "sticky" : "lan";
}
