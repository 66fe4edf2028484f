import { LastingWrongs } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { nameOf } from "#pkg/memberlist/testing";
import { nodeOfMac } from "../../../../speaker/core/members/members.ts";
import { ownedPlacement } from "../../../../speaker/core/state.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";

// Frames of either show the other one; one is probed, and challenged. A few of these may be late where the LAN has just been slow.
const withinMs: Millis = 10_000;

/**
 * Where the ring is cut and the LAN is whole, one of two nodes that both announce an address leaves it to the other, once each has seen the other fail.
 * Nor is an address left to a node that has lost all others and the API by one that has not. Not while an attacker holds proofs back.
 */
export class AcrossCuts {
  readonly #lasting = new LastingWrongs();
  readonly #lastingLeft = new LastingWrongs();

  /** To be called often. @returns what is wrong */
  check(cluster: SimulatedCluster): string | undefined {
    const pairs = [...this.#pairs(cluster)];
    for (const [pair, { lasted }] of this.#lasting.at(cluster.now, pairs))
      if (lasted > withinMs) return `${pair} although they see one another on the LAN`;
    for (const [left, { lasted }] of this.#lastingLeft.at(cluster.now, [...this.#leftToLonely(cluster)]))
      if (lasted > withinMs) return left;
    return undefined;
  }

  *#leftToLonely({ ring, lan, lanConditions, speakers, nodes }: SimulatedCluster): Iterable<string> {
    if (!lan.isWhole || lan.attacker.isActive || lanConditions.isDisturbed) return;
    const running = [...speakers].filter(([, { process }]) => process.isRunning && !process.isStalled);
    const those = (isAlone: boolean) => running.filter(([, { state }]) => state.conflicts.isAlone === isAlone);
    for (const [lonely, { announced }] of those(true))
      for (const [other, { state }] of those(false)) {
        if (ring.reaches(lonely, other) || !lan.passes(lonely, other) || !lan.passes(other, lonely)) continue;
        if (!nodes.has(lonely)) continue;
        for (const [address, { defense }] of state.conflicts.defended)
          if (defense.stage === "yielded" && announced.has(address))
            yield `node-${other} leaves ${address} to node-${lonely}, which has lost all others and the API`;
      }
  }

  *#pairs(cluster: SimulatedCluster): Iterable<string> {
    const { ring, lan, lanConditions } = cluster;
    if (!lan.isWhole || lan.attacker.isActive || lanConditions.isDisturbed) return;
    for (const [address, nodes] of cluster.owners())
      for (const [index, one] of nodes.entries())
        for (const other of nodes.slice(index + 1)) {
          const isCut = !ring.reaches(one, other) && !ring.reaches(other, one);
          if (!isCut || !lan.passes(one, other) || !lan.passes(other, one)) continue;
          if (!this.#knows(cluster, one, other, address) || !this.#knows(cluster, other, one, address)) continue;
          const by = [one, other].map((node) => cluster.speakers.get(node)?.state);
          const [first, second] = by.map((state) => state && ownedPlacement(state, address)?.electionAddress.toString());
          if (first === second) yield `${address} is at node-${one} and node-${other}`;
        }
  }

  /** Whether the node runs and answers, and has seen the other one fail, whose MAC address it knows. */
  #knows(cluster: SimulatedCluster, node: number, other: number, address: string): boolean {
    const speaker = cluster.speakers.get(node);
    const mac = cluster.speakers.get(other)?.mac;
    if (speaker === undefined || mac === undefined || !speaker.process.isRunning || speaker.process.isStalled) return false;
    const { members } = speaker.state;
    const name = nameOf(other);
    const hasLost = members.lost.has(name) && !members.active.includes(name) && cluster.nodes.has(other);
    return hasLost && !speaker.hasLostApi && speaker.announced.has(address) && nodeOfMac(members.macs, mac) === name;
  }
}
