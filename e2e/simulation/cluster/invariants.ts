import { LastingWrongs, OwnershipChecker } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { renumberAnnotation } from "#pkg/live-config";
import { movedConfig } from "./history.ts";
import type { Change, RawObject } from "./kubernetes-api.ts";
import { lifetimeMs } from "./nic-addresses.ts";
import { keyOf, namespace, type ServiceSpec } from "./objects.ts";
import { candidatesOf, sampleOf } from "./ownership-sample.ts";
import { ingressOf, prefixOf, type SimulatedCluster } from "./simulated-cluster.ts";
import type { SpeakerProcess } from "./speaker-process.ts";

// From when the two nodes hear one another and agree on the members: so long two may answer for an address.
const handOverMs: Millis = 6_000;
// A restored Lease may be that of another controller, which goes by it while the last one does not know yet.
const restoredMs: Millis = 4_000;
// The router looks at its hold timers every second.
const noticeMs: Millis = 1_500;

/**
 * What is promised, and watched while a history runs. Problems are sentences for people.
 *
 * Always: one controller at most may write; an address is at one Service, or at several that may share it; it does not change unless somebody
 * changed what the Service asks for; a router has no route through a node that is gone for longer than it takes to find out; two nodes that reach
 * one another do not both answer for an address for longer than a hand-over; somebody answers for one while a node could, and all nodes that see
 * the API name the one that does; a speaker that has reached none that announced since it started announces nothing while others are Ready; one
 * that may not put addresses on its node's NIC announces none that would be there. At the end: everything is as a cluster that starts anew would
 * have it.
 */
export class Invariants {
  problem: string | undefined;
  readonly #touched = new Set<string>(); // keys of Services that people changed since they got what they have
  readonly #mayAnnounce = new WeakSet<SpeakerProcess>();
  readonly #ownership = new OwnershipChecker();
  readonly #twice = new LastingWrongs(); // Which two answer for an address, and could know.

  /** For the API's changes, in their order. */
  changed(cluster: SimulatedCluster, { plural, key, type, object, before }: Change, byPeople: boolean): void {
    if (plural === "pods") this.#noteNewcomers(cluster);
    if (plural === "configmaps" && byPeople && mayRenumber(object))
      for (const name of cluster.services.keys()) this.#touched.add(keyOf(name));
    if (plural !== "services") return;
    if (byPeople) this.#touch(cluster, key, ingressOf(object));
    if (type === "DELETED" || byPeople) return;
    const [was, is] = [ingressOf(before), ingressOf(object)];
    if (was.join() === is.join()) return;
    cluster.note(`${key} has ${is.join(" and ") || "no address"}`);
    // One that waits for the address it asks for keeps what it has until then.
    const isWish = is.join() === cluster.services.get(object.metadata.name)?.wanted;
    if (was.length > 0 && !this.#touched.has(key) && !isWish && !isStranded(cluster, was))
      this.#found(cluster, `${key} had ${was} and has ${is}, although nobody changed it`);
    this.#touched.delete(key);
    // Services that may no longer share what they have, since somebody changed one of them, part one after the other.
    this.#checkHolders(cluster, (address) => !was.includes(address) && is.includes(address));
  }

  /** To be called often. */
  check(cluster: SimulatedCluster): void {
    this.#checkOwners(cluster);
    this.#noteNewcomers(cluster);
    for (const [node, speaker] of cluster.speakers) {
      const isEarly = speaker.process.isRunning && speaker.announced.size > 0 && !this.#mayAnnounce.has(speaker);
      if (isEarly) this.#found(cluster, `node-${node} announces, and has reached none of those that are Ready`);
    }
    const writers = [...cluster.controllers.values()].filter(({ mayWrite }) => mayWrite);
    if (writers.length > 1 && cluster.now > cluster.restoredAt + restoredMs)
      this.#found(cluster, `${writers.map(({ process }) => process.name).join(" and ")} may both write`);
    for (const [node, { process, hasNetAdmin, announced, leftToKernel }] of cluster.speakers) {
      const [address] = process.isRunning && !hasNetAdmin ? announced.intersection(leftToKernel) : [];
      if (address !== undefined)
        this.#found(cluster, `node-${node} announces ${address}, and its speaker may not put that on its NIC`);
    }
    for (const [prefix, neighbors] of cluster.router.routes())
      for (const neighbor of neighbors) {
        const lost = cluster.lost(neighbor);
        if (lost !== undefined && cluster.now - lost.since > lost.within + noticeMs)
          this.#found(cluster, `the router has a route to ${prefix} through ${neighbor}, which is gone since ${lost.since} ms`);
      }
  }

  /** What is not as it should be once nothing has happened for long enough. */
  checkAtRest(cluster: SimulatedCluster): string | undefined {
    this.#touched.clear();
    this.#checkHolders(cluster, () => true);
    if (this.problem !== undefined) return this.problem;
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
        const announced = misplaced(cluster, address, candidates, owners.get(address) ?? [], routes.get(prefixOf(address)) ?? []);
        if (announced !== undefined) return `${address} of ${name} ${announced}`;
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
    if (pool.includes(",")) {
      const has = addresses.map(poolOf).sort().join();
      if (has === pool.split(",").sort().join()) return undefined;
      return `${name} asks for pools ${pool} and has ${addresses.join() || "nothing"}`;
    }
    const families = addresses.map((address) => (address.includes(":") ? 6 : 4)).sort();
    if (families.join() !== (isDual ? "4,6" : "4")) return `${name} has ${addresses.join() || "nothing"}`;
    const outside = addresses.find((address) => poolOf(address) !== pool);
    return outside === undefined ? undefined : `${name} asks for pool ${pool} and has ${outside}`;
  }

  #checkHolders(cluster: SimulatedCluster, isMeant: (address: string) => boolean): void {
    const holders = new Map<string, string[]>(); // address -> names
    for (const name of cluster.services.keys())
      for (const address of cluster.status(name)) holders.set(address, [...(holders.get(address) ?? []), name]);
    for (const [address, names] of holders) {
      if (names.length < 2 || !isMeant(address)) continue;
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

  /** With it those that share an address with it: they may not be allowed to any more. */
  #touch(cluster: SimulatedCluster, key: string, addresses: readonly string[]): void {
    this.#touched.add(key);
    for (const name of cluster.services.keys())
      if (cluster.status(name).some((address) => addresses.includes(address))) this.#touched.add(keyOf(name));
  }

  #checkOwners(cluster: SimulatedCluster): void {
    for (const { address, since, what } of this.#ownership.add(sampleOf(cluster)))
      this.#found(cluster, `${address}: ${what}, since ${since} ms`);
    const agreed = cluster.ring.isConverged();
    const isStalled = (node: number) => cluster.speakers.get(node)?.process.isStalled;
    const hear = (one: number, other: number) => cluster.ring.reaches(one, other) && cluster.ring.reaches(other, one);
    // A kernel whose speaker was killed goes on for the address's lifetime, also when there is a new one that has not found what is wanted yet.
    const isWanted = (node: number, address: string) => {
      const { process, announced } = cluster.speakers.get(node) ?? {};
      return process?.isRunning === true && announced?.has(address) === true;
    };
    const pairs = new Map<string, Millis>(); // what is wrong -> how long it may last
    for (const [address, nodes] of agreed ? cluster.owners() : [])
      for (const [index, one] of nodes.entries())
        for (const other of nodes.slice(index + 1)) {
          if (!hear(one, other) || isStalled(one) || isStalled(other)) continue;
          const within = [one, other].every((node) => isWanted(node, address))
            ? handOverMs
            : Math.max(handOverMs, lifetimeMs + noticeMs);
          pairs.set(`${address} is at node-${one} and node-${other}`, within);
        }
    for (const [pair, { since, lasted }] of this.#twice.at(cluster.now, pairs.keys()))
      if (lasted > (pairs.get(pair) ?? Infinity)) this.#found(cluster, `${pair} since ${since} ms`);
  }

  /** A speaker may announce once it could have met another one that may, in however many steps, or once none of these was Ready. */
  #noteNewcomers(cluster: SimulatedCluster): void {
    const running = [...cluster.speakers].filter(([, { process }]) => process.isRunning);
    const reached = new Set(running.filter(([, speaker]) => this.#mayAnnounce.has(speaker)).map(([node]) => node));
    for (const from of reached)
      for (const [to] of running) if (cluster.ring.reaches(from, to) || cluster.ring.reaches(to, from)) reached.add(to);
    const isAlone = !running.some(([node, speaker]) => this.#mayAnnounce.has(speaker) && cluster.isPodReady(node));
    for (const [node, speaker] of running) if (isAlone || reached.has(node)) this.#mayAnnounce.add(speaker);
  }

  #found(cluster: SimulatedCluster, problem: string): void {
    this.problem ??= `at ${cluster.now} ms: ${problem}`;
  }
}

function mayRenumber({ metadata }: RawObject): boolean {
  return fieldOf(metadata.annotations, renumberAnnotation) === "true";
}

/** Whether addresses have no pool in what is configured, by people that wanted that. */
function isStranded({ api }: SimulatedCluster, addresses: readonly string[]): boolean {
  const object = api.get("configmaps", `${namespace}/config`);
  if (object === undefined || !mayRenumber(object)) return false;
  const isMoved = fieldOf(object.data, "config") === movedConfig;
  return addresses.some((address) => poolOf(address) === (isMoved ? "lan" : "moved"));
}

function fieldOf(of: unknown, name: string): unknown {
  return (of as Readonly<Record<string, unknown>> | undefined)?.[name];
}

/**
 * In what an address is not announced as its pool asks for: a Service whose wish cannot be met keeps what it has, of whatever pool. A sticky
 * pool prefers nodes only when these have been the same for long. An address of a NIC is where the speaker may put it.
 */
function misplaced(
  cluster: SimulatedCluster,
  address: string,
  candidates: readonly number[],
  owners: readonly number[],
  routers: readonly string[],
): string | undefined {
  const pool = poolOf(address);
  const able = pool === "nic" ? candidates.filter((node) => cluster.speakers.get(node)?.hasNetAdmin) : candidates;
  const preferred = candidates.filter((node) => cluster.edges.has(node));
  const mayOwn = pool === "lan" && preferred.length > 0 ? preferred : able;
  const names = (nodes: readonly number[]) => nodes.map((node) => `node-${node}`).join();
  const byLayer2 = pool !== "routed" && pool !== "given";
  const [owner, ...more] = owners;
  const isOwned =
    owner === undefined ? mayOwn.length === 0 || !byLayer2 : byLayer2 && mayOwn.includes(owner) && more.length === 0;
  if (!isOwned) return `is at ${names(owners) || "nobody"}, of ${(byLayer2 && names(mayOwn)) || "nobody"}`;
  const isRouted = pool === "routed" || pool === "both";
  const wanted = isRouted
    ? candidates
        .map((node) => cluster.neighborOf(node))
        .sort()
        .join()
    : "";
  return routers.join() === wanted ? undefined : `has routes through ${routers.join() || "nobody"}, of ${wanted || "nobody"}`;
}

function poolOf(address: string): string {
  if (address.startsWith("198.51.100.") || address.startsWith("2001:db8:1:")) return "routed";
  if (address.startsWith("203.0.113.")) return "given";
  const last = address.includes(":") ? Number.parseInt(address.split(":").at(-1) || "0", 16) : Number(address.split(".")[3]);
  return last >= 128 ? "moved" : last >= 112 ? "nic" : last >= 96 ? "both" : last >= 64 ? "more" : last >= 32 ? "sticky" : "lan";
}
