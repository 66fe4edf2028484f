import type { ObjectChange } from "#e2e/apiserver";
import { LastingWrongs } from "#e2e/ownership";
import type { RouterPath } from "#pkg/bgp/testing";
import type { Millis } from "#pkg/clock";
import { addressOf } from "#pkg/memberlist/testing";
import { Prefix, parseAddress } from "#pkg/net";
import { nodeAddress6 } from "../api/node-objects.ts";
import type { ServiceSpec } from "../api/objects.ts";
import { aggregates, type History, hasField } from "../history.ts";
import { startMs } from "../run.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { Invariants } from "./invariants.ts";
import type { Judge } from "./judge.ts";

// By then a central speaker has placed all addresses by what its ring agrees on, and the ring has found the dead.
const settledMs: Millis = 6_000;
// Less than for how long nodes live that a central speaker has not met.
const meetingMs: Millis = 80_000;
// As for any route that a router is to have: see `Routes`.
const returnMs: Millis = 15_000;
// A node whose path was broken counts as able again after so long, which doubles with each time.
const leastHoldMs: Millis = 30_000;
const mostHoldMs: Millis = 600_000;

/**
 * Promises 2 and 3 with central speakers, whatever befalls the cluster.
 *
 * Always: a central speaker serves the nodes that are well and members of its ring, and for a while those that it has not met since it started; it serves
 * no dead node, unless it lost most of its ring with it; the router has the paths to the nodes that it serves, or one of them where it takes one. Paths to
 * cordoned nodes are marked where the peer asks for that, and others are not. Where one central speaker ends at a time, and nothing else happens, the router
 * has a path to each node all the time. At rest it has one to each node that serves, from each of them.
 */
export class CentralPaths implements Judge {
  readonly #invariants = new Invariants();
  readonly #isOnlyDeaths: boolean;
  readonly #since = new Map<string, Millis>(); // what holds -> since when
  readonly #wrong = new LastingWrongs(); // Faults of the router's paths.
  readonly #broken = new Map<number, { readonly at: Millis; readonly times: number }>(); // node -> when its path was broken last
  #hadAll = false;
  #problem: string | undefined;

  constructor({ acts }: Pick<History, "acts">) {
    this.#isOnlyDeaths = acts.every(({ act }) => ["killSpeaker", "powerOff", "stopSpeaker"].includes(act.type));
  }

  get problem(): string | undefined {
    return this.#problem ?? this.#invariants.problem;
  }

  changed(cluster: SimulatedCluster, change: ObjectChange, byPeople: boolean): void {
    this.#invariants.changed(cluster, change, byPeople);
  }

  check(cluster: SimulatedCluster): void {
    this.#invariants.check(cluster);
    const problem = this.#checkServed(cluster) ?? (this.#isOnlyDeaths ? this.#checkPaths(cluster) : undefined);
    if (problem !== undefined) this.#problem ??= `at ${cluster.now} ms: ${problem}`;
  }

  isAtRest(cluster: SimulatedCluster): boolean {
    return cluster.ring.isConverged() && wrongPaths(cluster) === undefined;
  }

  checkAtRest(cluster: SimulatedCluster): string | undefined {
    return this.problem ?? wrongPaths(cluster);
  }

  #checkServed(cluster: SimulatedCluster): string | undefined {
    const holding = new Set<string>();
    const wrong: string[] = [];
    const { config } = cluster.people;
    for (const [index, central] of cluster.centralSpeakers) {
      const { process, state } = central;
      const isAtWork = process.isRunning && !process.isStalled && !central.hasLostApi && state.isStarted;
      if (!this.#holds(cluster, holding, `${process.name} is well`, central, isAtWork)) continue;
      const members = new Set(central.members);
      const isPeer = config?.includes("peers:") === true && cluster.reachesRouter(index);
      const hasPaths = this.#holds(cluster, holding, `${process.name} has a session by ${config}`, central, isPeer);
      const paths = hasPaths ? cluster.router.pathsOf(cluster.neighborOf(index)) : [];
      const preferable: string[] = []; // Next hops.
      const cordoned: string[] = [];
      for (const [node, speaker] of cluster.speakers) {
        const name = speaker.process.name;
        const isServed = state.served.nodes.has(name);
        const isMember = this.#holds(cluster, holding, `${name} is in the ring of ${process.name}`, central, members.has(name));
        const isUnmet = !state.unmet.met.has(name) && cluster.now < central.startedAt + meetingMs;
        const isWell = !this.#wasBroken(cluster, node) && isNodeWell(cluster, node);
        const isCordoned = cluster.nodes.isCordoned(node);
        const hops = [hopOf(cluster, node, "."), hopOf(cluster, node, ":")];
        if (this.#holds(cluster, holding, `${name} is cordoned: ${isCordoned}`, speaker, true))
          (isCordoned ? cordoned : preferable).push(...hops);
        if (this.#holds(cluster, holding, `${name} is well`, speaker, isWell)) {
          if (!isServed && (isMember || isUnmet)) return `${process.name} does not serve ${name}, which lives`;
          if (isServed && hasPaths) wrong.push(...missingPaths(cluster, node));
        }
        const isDead = this.#holds(cluster, holding, `${name} is dead`, speaker, !speaker.process.isRunning);
        const isMinority =
          [...cluster.speakers.values()].filter((one) => members.has(one.process.name)).length * 2 < cluster.speakers.size;
        if (isDead && isServed && !isMinority && !isUnmet) return `${process.name} serves ${name}, which is dead`;
      }
      if (hasField(config, "drained")) wrong.push(...wrongMarks(paths, cordoned, preferable));
    }
    for (const what of this.#since.keys()) if (!holding.has(what)) this.#since.delete(what);
    for (const [what, { since, lasted }] of this.#wrong.at(cluster.now, wrong))
      if (lasted > returnMs) return `the router has ${what} since ${since} ms`;
    return undefined;
  }

  /** Whether it has been so for long, of this process. */
  #holds({ now }: SimulatedCluster, holding: Set<string>, what: string, { startedAt }: SpeakerProcess, is: boolean): boolean {
    if (!is) return false;
    const key = `${what}, started at ${startedAt}`;
    holding.add(key);
    const since = this.#since.get(key) ?? now;
    this.#since.set(key, since);
    return now >= since + settledMs;
  }

  /** Whether a node may count as one that cannot deliver: its path is broken, or was a while ago. */
  #wasBroken({ machines, now }: SimulatedCluster, node: number): boolean {
    const before = this.#broken.get(node);
    if (machines.withoutPath.has(node)) {
      const isAnother = before === undefined || now > before.at + settledMs;
      this.#broken.set(node, { at: now, times: (before?.times ?? 0) + (isAnother ? 1 : 0) });
      return true;
    }
    return before !== undefined && now < before.at + Math.min(leastHoldMs * 2 ** (before.times - 1), mostHoldMs);
  }

  #checkPaths(cluster: SimulatedCluster): string | undefined {
    const wrong = wrongPaths(cluster, false);
    if (wrong === undefined && areAssigned(cluster)) this.#hadAll = true;
    return this.#hadAll ? wrong : undefined;
  }
}

/** Whether each Service has an address that may get one; without any the router has all paths. */
function areAssigned({ now, people }: SimulatedCluster): boolean {
  const isAssigned = ([name, { pool }]: readonly [string, ServiceSpec]) => pool !== "routed" || people.status(name).length > 0;
  return now >= startMs || [...people.services].every(isAssigned);
}

/** The community that Services may ask for. */
const granted = { text: "65001:7", value: 65001 * 0x10000 + 7 } as const;

const gracefulShutdown = 0xffff_0000;

/** Paths that are marked as the last resort, or not, while their node is not, or is. */
function wrongMarks(paths: readonly RouterPath[], cordoned: readonly string[], preferable: readonly string[]): string[] {
  return paths.flatMap(({ prefix, nextHop, communities, isStale }) => {
    const isMarked = communities.includes(gracefulShutdown);
    if (isStale || !(isMarked ? preferable : cordoned).includes(nextHop)) return [];
    return [`a path to ${prefix} by ${nextHop}, which is ${isMarked ? "" : "not "}the last resort,`];
  });
}

/** It runs, and nothing keeps traffic from it. */
function isNodeWell(cluster: SimulatedCluster, node: number): boolean {
  if (hasField(cluster.people.config, "edge") && !cluster.nodes.isEdge(node)) return false;
  const process = cluster.speakers.get(node)?.process;
  const isKept = cluster.nodes.isExcluded(node) || cluster.nodes.isDrained(node);
  return process?.isRunning === true && !process.isStalled && !isKept;
}

/** Paths to a node, which serves, that the router lacks; or to any, where it takes one. */
function missingPaths(cluster: SimulatedCluster, node: number): string[] {
  const hops = cluster.router.nextHops();
  return [...cluster.people.services].flatMap(([name, spec]) => {
    const { pool, isLocal, endpoints } = spec;
    if (pool !== "routed" || (isLocal ? !endpoints.includes(node) : endpoints.length === 0)) return [];
    const to = cluster.people.status(name);
    const isThere = (found: ReadonlySet<string> | undefined, address: string) =>
      takesPaths(cluster) ? found?.has(hopOf(cluster, node, address)) : found !== undefined;
    return to
      .filter((address) => !isThere(hops.get(routeOf(cluster, spec, address)), address))
      .map((address) => `no path to ${address} by node-${node}`);
  });
}

function takesPaths({ router, people }: SimulatedCluster): boolean {
  return router.takesPaths && hasField(people.config, "addPath");
}

/** The prefix by which the router is to lead to an address. */
function routeOf({ people }: SimulatedCluster, { isLocal, community }: ServiceSpec, address: string): string {
  const isOwn = !hasField(people.config, "aggregated") || isLocal || community === granted.text;
  const found = parseAddress(address);
  return isOwn || found === undefined ? prefixOf(address) : `${new Prefix(found, aggregates[found.family])}`;
}

function hopOf(cluster: SimulatedCluster, node: number, address: string): string {
  return address.includes(":") ? nodeAddress6(node) : addressOf(cluster.ring.hostOf(node));
}

/** The router's paths to each address, unless they lead to the nodes that are to serve it. @param fromAll each central speaker is to have announced them */
function wrongPaths(cluster: SimulatedCluster, fromAll = true): string | undefined {
  const hops = cluster.router.nextHops();
  const routes = cluster.router.routes();
  for (const [name, spec] of cluster.people.services) {
    const { pool, isLocal, community } = spec;
    if (pool !== "routed") continue;
    for (const address of cluster.people.status(name)) {
      const prefix = routeOf(cluster, spec, address);
      const nodes = nodesOf(cluster, address, isLocal);
      const wanted = nodes.map((node) => hopOf(cluster, node, address)).sort();
      const found = [...(hops.get(prefix) ?? [])].sort();
      const isOne =
        !takesPaths(cluster) && found.length === Math.min(1, wanted.length) && found.every((hop) => wanted.includes(hop));
      if (!isOne && found.join() !== wanted.join())
        return `the router has paths to ${address} of ${name} by ${found}, and not by ${wanted}`;
      const asked = hasField(cluster.people.config, "aggregated") && community === granted.text ? [granted.value] : [];
      const communities = [...cluster.router.communities(prefix)];
      if (fromAll && nodes.length > 0 && communities.join() !== asked.join())
        return `the communities of ${prefix} are ${communities}, and not ${asked}`;
      const from = routes.get(prefix) ?? [];
      if (fromAll && nodes.length > 0 && from.length !== cluster.centralSpeakers.size)
        return `it has ${address} from ${from} alone`;
    }
  }
  return undefined;
}

/** The nodes that are to serve an address, also for another Service that shares it. */
function nodesOf({ people, speakers, nodes }: SimulatedCluster, address: string, isLocal: boolean): readonly number[] {
  const specs = [...people.services].flatMap(([name, spec]) => (people.status(name).includes(address) ? [spec] : []));
  const endpoints = specs.flatMap((spec) => spec.endpoints);
  const all = endpoints.length === 0 ? [] : isLocal ? endpoints : [...speakers.keys()];
  return hasField(people.config, "edge") ? all.filter((node) => nodes.isEdge(node)) : all;
}
