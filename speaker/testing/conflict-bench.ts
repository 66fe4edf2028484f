import type { OwnEntry } from "#pkg/gossip";
import { service } from "#pkg/k8s/testing";
import type { AddressSighting } from "#pkg/layer2";
import { silentLog } from "#pkg/log/testing";
import { address, prefix } from "#pkg/net/testing";
import { announceAddress } from "../core/conflicts/address-defender.ts";
import type { Layer2Announcement } from "../core/conflicts/conflict-state.ts";
import { learnMacs } from "../core/members/members.ts";
import { setService } from "../core/services/services.ts";
import { Bench } from "./speaker-bench.ts";

export const x = address("192.0.2.1");

/** An announcement that is not the first of its address, and the first one, which has to be free. */
export const later: Layer2Announcement = { interfaces: [], conflictProbe: "strict", isFirst: false, item: undefined };
export const first: Layer2Announcement = { ...later, isFirst: true };

const notes: Readonly<Record<string, string>> = {
  addressConflict: "began",
  addressConflictEnded: "ended",
  addressOccupied: "occupied",
  addressWanted: "wanted",
};
const both = ["node1", "node2"];

/** One speaker's core, and one address. The MAC address of a node is its name; `foreign` is no node's. */
export class ConflictBench extends Bench {
  /** Log lines about conflicts, with the host of each. */
  readonly noted: string[] = [];
  /** Its gossip is that of a version which knows nothing of views of the API. */
  isEarlier = false;
  #peer: ConflictBench | undefined;
  readonly #gossip: OwnEntry[] = []; // Not sent yet.
  #version = 0;

  constructor(node: string, active = both, hasRing = true) {
    super(node, { hasRing, active, isSynced: true });
    this.runner.onStep = undefined; // Frames make many steps, and nobody runs them again.
    this.onGossip = (entries) => {
      this.#gossip.push(...entries);
      this.#send();
    };
    const note = (_message: string, { event, mac }: Readonly<Record<string, unknown>> = {}) => {
      const word = notes[String(event)];
      if (word !== undefined) this.noted.push(`${word} ${mac}`);
    };
    this.log = { ...silentLog, info: note, warn: note };
    for (const other of both) learnMacs(this.state.members.macs, other, [other]);
    setService(this.state.services, "default/web", service("web", { ingress: [x.toString()] }));
    for (const other of both) this.setTaints(other);
    this.setCarrier(true);
  }

  announce(on: Layer2Announcement = later): void {
    this.run((effects) => announceAddress(this.state, x, on, this.clock.now(), effects));
  }

  sight(mac: string, kind: AddressSighting["kind"] = "announces", address = x): void {
    const sighting = { address, mac, kind, interface: "eth0", ownMac: "02:00:00:00:00:01" };
    this.runner.dispatch({ type: "sighting", sighting });
  }

  /** It sights another node announcing the address, which answers whoever probes it, and proves what it announces. */
  sightFrom(mac: string): void {
    this.sight(mac);
    for (let i = 0; i < 3000; i += 100) {
      this.clock.advanceBy(100);
      if (this.lines.at(-1) === `probe ${mac} for ${x}`) this.sight(mac, "uses");
      if (this.lines.at(-1) === `challenge ${mac} for ${x}`) this.sight(mac, "proves");
    }
  }

  /** Keys of the taints that a node has. */
  setTaints(name: string, taints: readonly string[] | "deleted" = []): void {
    if (taints === "deleted") this.setNode(name, undefined);
    else this.setNode(name, {}, taints);
  }

  /** The gossip of this speaker goes to the other one, and back. */
  static connect(one: ConflictBench, other: ConflictBench): void {
    one.#peer = other;
    other.#peer = one;
    for (const bench of [one, other]) bench.timer();
  }

  /** Each answers what the other has probed last, if it announces the address. */
  static answerProbes(one: ConflictBench, other: ConflictBench): void {
    for (const [prober, prey] of [
      [one, other],
      [other, one],
    ] as const)
      if (
        prober.take().includes(`probe ${prey.state.node} for ${x}`) &&
        prey.state.conflicts.defended.get(x.toString())?.isAnnounced
      )
        prober.sight(prey.state.node, "uses");
  }

  /** Of its only interface, which is in the subnet of the address unless another one is given. */
  setCarrier(hasCarrier: boolean, subnet = "192.0.2.0/24"): void {
    const interfaces = new Map(hasCarrier ? [["eth0", [prefix(subnet)]]] : []);
    const reachability = { answers: hasCarrier, hasKernelAccess: true, interfaces };
    this.state.carriers.reachability = reachability;
    this.state.members.gossip?.setReachability(reachability);
    this.timer();
  }

  participate(): void {
    this.state.members.gossip?.participate();
  }

  /** A member fails. */
  lose(node: string): void {
    this.runner.dispatch({ type: "member", change: "failed", node, incarnation: 1, life: 1, macs: undefined });
    this.membersChanged(this.active.filter((other) => other !== node));
  }

  /** The ConfigMap's data. */
  setOccupants(data: Readonly<Record<string, string>>): void {
    this.runner.dispatch({ type: "quarantine", data });
  }

  #send(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    const { node } = this.state;
    const isEarlier = this.isEarlier || peer.isEarlier;
    const entries = this.#gossip.splice(0).map(({ key, value }) => {
      return { node, key, value: isEarlier && key === "h" ? withoutView(value) : value, version: ++this.#version, life: 1 };
    });
    if (entries.length > 0) peer.runner.dispatch({ type: "gossip", entries });
  }
}

/** A node's summary as the version before views of the API has it. */
function withoutView(summary: Uint8Array): Uint8Array {
  const [octets, bitsOctet, viewBits] = [8, 1, 6];
  return summary.slice(0, octets).with(bitsOctet, (summary[bitsOctet] ?? 0) & ~viewBits);
}
