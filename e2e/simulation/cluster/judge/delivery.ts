import { LastingWrongs } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import type { Family } from "#pkg/net";
import type { PathFault } from "../../../../speaker/core/index.ts";
import { prefixOf, type SimulatedCluster } from "../simulated-cluster.ts";
import { candidatesOf, servicesOn } from "./ownership-sample.ts";
import { poolOf } from "./promised.ts";

// The node is sure after 1.2 s, and the hand-over follows.
const leaveMs: Millis = 8_000;
// Routes are marked for 2 s first.
const withdrawMs: Millis = 11_000;

/**
 * A node whose kernel brings no packets to Pods neither answers for an address nor has a route for it for long, while another node that may have the
 * address delivers, and each of the two knows all that it takes.
 */
export class Delivery {
  readonly #answering = new LastingWrongs();
  readonly #routed = new LastingWrongs();

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const { now } = cluster;
    const answering = this.#answering.at(now, wrongOwners(cluster));
    const routed = this.#routed.at(now, wrongRoutes(cluster));
    for (const [found, within] of [
      [answering, leaveMs],
      [routed, withdrawMs],
    ] as const)
      for (const [what, { since, lasted }] of found) if (lasted > within) return `${what}, since ${since} ms`;
    return undefined;
  }
}

function wrongOwners(cluster: SimulatedCluster): string[] {
  const wrongs: string[] = [];
  if (isMixed(cluster)) return wrongs;
  for (const [address, nodes] of cluster.owners())
    for (const node of nodes) {
      const isBySpeaker = cluster.speakers.get(node)?.announced.has(address) === true;
      if (isBySpeaker && isBroken(cluster, node, familyOf(address)) && successors(cluster, node, address).length > 0)
        wrongs.push(`node-${node} answers for ${address}, which it cannot deliver, while others can`);
    }
  return wrongs;
}

function wrongRoutes(cluster: SimulatedCluster): string[] {
  const wrongs: string[] = [];
  if (isMixed(cluster)) return wrongs;
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
      if (has(node) && isBroken(cluster, node, familyOf(address)) && successors(cluster, node, address).some(has))
        wrongs.push(`the router has ${prefix} through node-${node}, which cannot deliver it, while others can`);
  }
  return wrongs;
}

/** Nobody leaves anything to others then, or members do not count on one another yet. */
function isMixed({ ring, speakers }: SimulatedCluster): boolean {
  return !ring.isConverged() || [...speakers.values()].some(({ process, isEarlier }) => process.isRunning && isEarlier);
}

/** Nodes to which this one could leave the address. */
function successors(cluster: SimulatedCluster, node: number, address: string): readonly number[] {
  const { ring, machines, speakers } = cluster;
  const family = familyOf(address);
  const reach = (other: number) => ring.reaches(node, other) && ring.reaches(other, node);
  return candidatesOf(cluster, address, servicesOn(cluster, address)).filter((other) => {
    const speaker = speakers.get(other);
    if (speaker === undefined || other === node || !reach(other) || !isAware(cluster, other)) return false;
    const delivers = !machines.withoutPath.has(other) && speaker.state.dataPath[family].broken.length === 0;
    const mayHave = poolOf(address) !== "nic" || speaker.hasNetAdmin;
    return delivers && mayHave && !machines.withoutCarrier.has(other) && speaker.state.placements.has(address);
  });
}

/** Its speaker knows of the fault: a sign that was there when it started is one where most speakers on other nodes were once without it. */
function isBroken(cluster: SimulatedCluster, node: number, family: Family): boolean {
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

/** It runs, and sees the API. */
function isAware({ speakers }: SimulatedCluster, node: number): boolean {
  const speaker = speakers.get(node);
  if (speaker === undefined || !speaker.process.isRunning || speaker.process.isStalled || !speaker.isReady) return false;
  return !speaker.hasLostApi && speaker.state.apiView.view === "current";
}

function familyOf(address: string): Family {
  return address.includes(":") ? "IPv6" : "IPv4";
}
