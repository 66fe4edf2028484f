import { SimulatedClock } from "#pkg/clock";
import { CoreRunner } from "#pkg/core";
import type { OwnEntry } from "#pkg/gossip";
import { service } from "#pkg/k8s/testing";
import type { AddressSighting } from "#pkg/layer2";
import { address, prefix } from "#pkg/net/testing";
import { announceAddress } from "../core/conflicts/address-defender.ts";
import type { SpeakerEffect } from "../core/effects.ts";
import { learnMacs } from "../core/members/members.ts";
import { speakerCore } from "../core/replay.ts";
import { setService } from "../core/services/services.ts";
import { createState, type Layer2Announcement, type SpeakerState } from "../core/state.ts";

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

/** One speaker's core, and one address. The MAC address of a node is its name; `foreign` is no node's. */
export class ConflictBench {
  readonly clock = new SimulatedClock();
  readonly runner = new CoreRunner(speakerCore, this.clock, () => 0.5);
  readonly state: SpeakerState;
  /** Frames and changes on the wire, a line each. */
  readonly lines: string[] = [];
  /** Log lines, with the host of each. */
  readonly reported: string[] = [];
  /** Kubernetes events, as `service: reason`. */
  readonly recorded: string[] = [];
  /** The addresses that were written as occupied, or as free. */
  readonly written: string[] = [];
  #peer: ConflictBench | undefined;
  readonly #gossip: OwnEntry[] = []; // Not sent yet.
  #version = 0;

  constructor(node: string, active = ["node1", "node2"]) {
    this.state = createState({ node, ignoreExcludeLabel: false, hasRing: true });
    for (const other of ["node1", "node2"]) learnMacs(this.state.members.macs, other, [other]);
    setService(this.state.services, "default/web", service("web", { ingress: [x.toString()] }));
    this.runner.start(this.state, (effect) => this.#carryOut(effect));
    for (const other of ["node1", "node2"]) this.setTaints(other);
    this.setCarrier(true);
    this.membersChanged(...active);
    this.runner.dispatch({ type: "timer", chance: 0.5 });
  }

  announce(on: Layer2Announcement = later): void {
    this.run((effects) => announceAddress(this.state, x, on, this.clock.now(), effects));
  }

  /** Carries out what a part of the core does by itself. */
  run(work: (effects: SpeakerEffect[]) => void): void {
    const effects: SpeakerEffect[] = [];
    work(effects);
    for (const effect of effects) this.#carryOut(effect);
    this.runner.dispatch({ type: "timer", chance: 0.5 }); // Deadlines may be others.
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
    const fields = { labels: {}, unschedulable: false, deleting: false, flannelAddresses: [] };
    const node = taints === "deleted" ? undefined : { ...fields, taints };
    this.runner.dispatch({ type: "node", name, node });
  }

  /** The gossip of this speaker goes to the other one, and back. */
  static connect(one: ConflictBench, other: ConflictBench): void {
    one.#peer = other;
    other.#peer = one;
    for (const bench of [one, other]) bench.runner.dispatch({ type: "timer", chance: 0.5 });
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
    this.runner.dispatch({ type: "timer", chance: 0.5 });
  }

  participate(): void {
    this.state.members.gossip?.participate();
  }

  /** A member fails. */
  lose(node: string): void {
    this.runner.dispatch({ type: "member", change: "failed", node, incarnation: 1, life: 1, macs: undefined });
    this.membersChanged(...this.state.members.active.filter((other) => other !== node));
  }

  membersChanged(...active: string[]): void {
    this.runner.dispatch({ type: "members", active, withoutGossip: [], isSynced: true });
  }

  /** Members of another kind, which report nothing. */
  setWithoutGossip(...withoutGossip: string[]): void {
    const { active } = this.state.members;
    this.runner.dispatch({ type: "members", active, withoutGossip, isSynced: true });
  }

  /** The ConfigMap's data. */
  setOccupants(data: Readonly<Record<string, string>>): void {
    this.runner.dispatch({ type: "quarantine", data });
  }

  take(): string[] {
    return this.lines.splice(0);
  }

  #send(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    const { node } = this.state;
    const entries = this.#gossip.splice(0).map(({ key, value }) => ({ node, key, value, version: ++this.#version, life: 1 }));
    if (entries.length > 0) peer.runner.dispatch({ type: "gossip", entries });
  }

  #carryOut(effect: SpeakerEffect): void {
    switch (effect.type) {
      case "announce":
      case "listen":
        this.lines.push(`${effect.type} ${effect.address}${effect.interfaces.length > 0 ? ` on ${effect.interfaces}` : ""}`);
        break;
      case "withdraw":
      case "defend":
      case "reannounce":
        this.lines.push(`${effect.type} ${effect.address}`);
        break;
      case "probe":
      case "challenge":
        this.lines.push(`${effect.type} ${effect.to ?? "all"} for ${effect.address}`);
        break;
      case "writeOccupant":
        this.written.push(`${effect.address} ${effect.occupant === undefined ? "free" : JSON.stringify(effect.occupant)}`);
        break;
      case "recordEvent":
        this.recorded.push(`${effect.service.name}: ${effect.reason}`);
        break;
      case "setGossip":
        this.#gossip.push(...effect.entries);
        this.#send();
        break;
      case "log": {
        const note = notes[String(effect.fields.event)];
        if (note !== undefined) this.reported.push(`${note} ${effect.fields.mac}`);
        break;
      }
      default: // Not about conflicts.
    }
  }
}
