import { LastingWrongs } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import type { Family } from "#pkg/net";
import type { PathFault } from "../../../../speaker/core/index.ts";
import { keyOf, type ServiceSpec } from "../api/objects.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { candidatesOf, servicesOn } from "./ownership-sample.ts";
import { poolOf } from "./promised.ts";

// The node is sure after 1.2 s, and the hand-over follows.
const leaveMs: Millis = 8_000;
// kube-proxy is asked once a second, and may be late itself for 5 s.
const leaveServiceMs: Millis = 14_000;
// A speaker that begins has asked before.
const neverTakenMs: Millis = 1_000;
// Routes are marked for 2 s first.
const withdrawMs: Millis = 11_000;
// A node that fails again and again waits for longer each time, and for this part of it where no other node delivers.
const neededPart = 1 / 30;
const lookAgainMs: Millis = 1_000;

/**
 * A node whose kernel brings no packets to Pods, or whose kube-proxy knows no Pod of a Service, neither answers for an address nor has a route for it for long, while another node that may have the
 * address delivers, and each of the two knows all that it takes.
 */
export class Delivery {
  readonly #answering = new LastingWrongs();
  readonly #unserved = new LastingWrongs();
  readonly #taken = new LastingWrongs();
  readonly #routed = new LastingWrongs();
  /** Node that could not deliver -> when it last could not. */
  readonly #brokenAt = new Map<number, Millis>();
  /** Speaker -> addresses that its kube-proxy has not served since before it began, and that others could have all the time. */
  readonly #unservedBefore = new WeakMap<SpeakerProcess, ReadonlySet<string>>();

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const { now } = cluster;
    const owners = isMixed(cluster) ? undefined : cluster.owners();
    for (const node of cluster.machines.withoutPath.keys()) this.#brokenAt.set(node, now);
    const answering = this.#answering.at(now, this.#wrongOwners(cluster, owners, isBroken, "deliver"));
    const unserved = this.#unserved.at(now, this.#wrongOwners(cluster, owners, isUnserved, "serve"));
    this.#noteUnserved(cluster);
    const taken = this.#taken.at(
      now,
      this.#wrongOwners(
        cluster,
        owners,
        (_, node, address) => this.#isUnservedBefore(cluster, node, address),
        "serve since before its speaker began",
      ),
    );
    const routed = this.#routed.at(now, owners === undefined ? [] : this.#wrongRoutes(cluster));
    for (const [found, within] of [
      [answering, leaveMs],
      [unserved, leaveServiceMs],
      [taken, neverTakenMs],
      [routed, withdrawMs],
    ] as const)
      for (const [what, { since, lasted }] of found) if (lasted > within) return `${what}, since ${since} ms`;
    return undefined;
  }

  #noteUnserved(cluster: SimulatedCluster): void {
    for (const [node, speaker] of cluster.speakers) {
      const before = this.#unservedBefore.get(speaker);
      const those = before ?? [...cluster.people.services.keys()].flatMap((name) => cluster.people.status(name));
      const isLeft = (address: string) =>
        isStopped(cluster, node, address) && this.#successors(cluster, node, address).length > 0;
      this.#unservedBefore.set(speaker, new Set([...those].filter(isLeft)));
    }
  }

  #isUnservedBefore(cluster: SimulatedCluster, node: number, address: string): boolean {
    const speaker = cluster.speakers.get(node);
    return (
      speaker !== undefined && this.#unservedBefore.get(speaker)?.has(address) === true && isUnserved(cluster, node, address)
    );
  }

  #wrongOwners(
    cluster: SimulatedCluster,
    owners: ReadonlyMap<string, readonly number[]> = new Map(),
    cannot: typeof isBroken,
    what: string,
  ): string[] {
    const wrongs: string[] = [];
    for (const [address, nodes] of owners)
      for (const node of nodes) {
        const isBySpeaker = cluster.speakers.get(node)?.announced.has(address) === true;
        if (isBySpeaker && cannot(cluster, node, address) && this.#successors(cluster, node, address).length > 0)
          wrongs.push(`node-${node} answers for ${address}, which it cannot ${what}, while others can`);
      }
    return wrongs;
  }

  #wrongRoutes(cluster: SimulatedCluster): string[] {
    const wrongs: string[] = [];
    const { router } = cluster;
    const routes = router.routes();
    const addresses = [...cluster.people.services.keys()].flatMap((name) => cluster.people.status(name));
    for (const address of new Set(addresses)) {
      const prefix = prefixOf(address);
      const has = (node: number) => {
        const neighbor = cluster.neighborOf(node);
        return routes.get(prefix)?.includes(neighbor) === true && router.isFresh(prefix, neighbor) && cluster.reachesRouter(node);
      };
      for (const node of cluster.speakers.keys())
        if (has(node) && isBroken(cluster, node, address) && this.#successors(cluster, node, address).some(has))
          wrongs.push(`the router has ${prefix} through node-${node}, which cannot deliver it, while others can`);
    }
    return wrongs;
  }

  /** Nodes to which this one could leave the address. */
  #successors(cluster: SimulatedCluster, node: number, address: string): readonly number[] {
    const { ring, machines, speakers } = cluster;
    const reach = (other: number) => ring.reaches(node, other) && ring.reaches(other, node);
    return candidatesOf(cluster, address, servicesOn(cluster, address)).filter((other) => {
      const speaker = speakers.get(other);
      if (speaker === undefined || other === node || !reach(other) || !isAware(cluster, other)) return false;
      const delivers = !machines.withoutPath.has(other) && !this.#isHeldBack(cluster, other, address);
      if (isStopped(cluster, other, address)) return false;
      const mayHave = poolOf(address) !== "nic" || speaker.hasNetAdmin;
      return delivers && mayHave && !machines.withoutCarrier.has(other) && speaker.state.placements.has(address);
    });
  }

  /** It was well again for too short a time. */
  #isHeldBack({ now, speakers }: SimulatedCluster, node: number, address: string): boolean {
    const dataPath = speakers.get(node)?.state.dataPath[familyOf(address)];
    if (dataPath === undefined || dataPath.broken.length === 0) return false;
    return now < (this.#brokenAt.get(node) ?? -Infinity) + neededPart * dataPath.holdMs + lookAgainMs;
  }
}

/** Nobody leaves anything to others then, or members do not count on one another yet. */
function isMixed({ ring, hasRing, speakers }: SimulatedCluster): boolean {
  return (
    !hasRing || !ring.isConverged() || [...speakers.values()].some(({ process, isEarlier }) => process.isRunning && isEarlier)
  );
}

/** Its speaker knows of the fault: a sign that was there when it started is one where most speakers on other nodes were once without it. */
function isBroken(cluster: SimulatedCluster, node: number, address: string): boolean {
  const family = familyOf(address);
  const faults = cluster.machines.withoutPath.get(node)?.[family] ?? [];
  const wasWithout = (other: number, fault: PathFault) => {
    const dataPath = cluster.speakers.get(other)?.state.dataPath[family];
    return dataPath?.isSeen === true && !dataPath.original.has(fault);
  };
  const others = [...cluster.speakers.keys()].filter((other) => other !== node);
  const isFault = (fault: PathFault) =>
    wasWithout(node, fault) || 2 * others.filter((other) => wasWithout(other, fault)).length > others.length;
  return isAware(cluster, node) && faults.some(isFault);
}

/** Its speaker knows that kube-proxy has no Pod of the address's Service, and it or most others have seen it serve another one. */
function isUnserved(cluster: SimulatedCluster, node: number, address: string): boolean {
  const hasSeen = (other: number) => cluster.speakers.get(other)?.state.healthPorts.isSeen === true;
  const others = [...cluster.speakers.keys()].filter((other) => other !== node);
  const isSeen = hasSeen(node) || 2 * others.filter(hasSeen).length > others.length;
  return isSeen && isAware(cluster, node) && isStopped(cluster, node, address);
}

/** Its kube-proxy stands still, and knows no Pod there of the Services on the address, which all have one. */
function isStopped({ machines, people }: SimulatedCluster, node: number, address: string): boolean {
  const known = machines.stoppedProxies.get(node);
  const on = known === undefined ? [] : people.holders(address);
  const isHere = (spec: ServiceSpec | undefined) => spec?.isLocal === true && spec.endpoints.includes(node);
  return on.length > 0 && on.every((name) => isHere(people.services.get(name)) && known?.has(keyOf(name)) === false);
}

/** It runs, and sees the API. */
function isAware({ speakers }: SimulatedCluster, node: number): boolean {
  const speaker = speakers.get(node);
  if (speaker === undefined || !speaker.process.isRunning || speaker.process.isStalled || !speaker.isReady) return false;
  return !speaker.hasLostApi && speaker.state.apiView.view === "current";
}

function familyOf(address: string): Family {
  return address.includes(":") ? "IPv6" : "IPv4";
}
