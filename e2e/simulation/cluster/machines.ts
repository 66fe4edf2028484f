import type { Millis } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";
import { type Family, families } from "#pkg/net";
import type { PathFault, PathFaults } from "../../../speaker/core/index.ts";
import { macOf } from "./api/objects.ts";
import { MachineConnections } from "./network/machine-connections.ts";
import { NicAddresses } from "./network/nic-addresses.ts";
import type { Time } from "./simulated-process.ts";
import type { SpeakerProcess } from "./speaker-process.ts";

/** The nodes' machines, which outlive their speakers: NICs, cards, carriers, clocks, and the kernels' way to Pods. */
export class Machines {
  readonly withoutCarrier = new Set<number>();
  readonly withoutPath = new Map<number, PathFaults>(); // node that cannot deliver to Pods -> signs of that
  /** Node with a stalled kube-proxy -> the Services with a Pod there, as kube-proxy knows. */
  readonly stoppedProxies = new Map<number, ReadonlySet<string>>();
  /** When something about one of them changed last: looks miss what is back at once. */
  changedAt: Millis = -Infinity;
  /** Nodes with a second NIC on the LAN, eth1. */
  readonly secondNics: Set<number>;
  readonly withoutSecondCarrier = new Set<number>(); // nodes whose second NIC, if they have one, is unplugged
  readonly silent = new Set<number>(); // nodes whose connections to Services nobody answers, without another sign of that
  readonly withoutSubnet = new Set<number>(); // nodes whose first NIC lacks its addresses on the LAN
  readonly withoutGateway = new Set<number>(); // nodes without a default route
  /** Node -> the NIC by which it reaches `reachedAddress`, where that is not its last one; undefined for none. */
  readonly routes = new Map<number, string | undefined>();
  readonly #speakers: ReadonlyMap<number, SpeakerProcess>;
  readonly #time: Time;
  readonly #nics = new Map<number, NicAddresses>(); // node -> what its NIC on the LAN has for Services
  readonly #otherNics = new Map<number, readonly InterfaceState[]>(); // node -> its other NICs
  readonly #ahead = new Map<number, Millis>(); // node -> what its clock shows beyond the time
  readonly #cards = new Map<number, number>(); // node -> which network card it has
  readonly #connections = new Map<number, MachineConnections>(); // node -> its kernel's
  readonly #off = new Set<number>(); // nodes

  constructor(speakers: ReadonlyMap<number, SpeakerProcess>, time: Time, secondNics: readonly number[] = []) {
    this.#speakers = speakers;
    this.#time = time;
    this.secondNics = new Set(secondNics);
  }

  /** Addresses of Services on the NIC that is on the LAN. */
  nic(node: number): NicAddresses {
    const nic = this.#nics.get(node) ?? new NicAddresses(this.#time);
    this.#nics.set(node, nic);
    return nic;
  }

  connections(node: number): MachineConnections {
    const connections = this.#connections.get(node) ?? new MachineConnections(this.#time);
    this.#connections.set(node, connections);
    return connections;
  }

  isOn(node: number): boolean {
    return !this.#off.has(node);
  }

  turnOn(node: number): void {
    this.#off.delete(node);
  }

  /** Its kernel forgets all. */
  turnOff(node: number): void {
    this.nic(node).clear();
    this.connections(node).clear();
    this.#off.add(node);
  }

  macOf(node: number): string {
    return macOf(node, this.#cards.get(node) ?? 0);
  }

  /** How much more than the time its clock shows. */
  clockAhead(node: number): Millis {
    return this.#ahead.get(node) ?? 0;
  }

  otherNics(node: number): readonly InterfaceState[] {
    return (
      this.#otherNics.get(node) ?? (this.secondNics.has(node) ? [secondNic(node, !this.withoutSecondCarrier.has(node))] : [])
    );
  }

  /** The names of its NICs on the LAN, without a second one that is unplugged, each with whether it has addresses there. */
  nicsOf(node: number): ReadonlyMap<string, boolean> {
    const hasSecond = this.secondNics.has(node) && !this.withoutSecondCarrier.has(node);
    return new Map([["eth0", !this.withoutSubnet.has(node)], ...(hasSecond ? [["eth1", true] as const] : [])]);
  }

  /** The NIC by which it reaches `reachedAddress`; undefined for none. */
  routeOf(node: number): string | undefined {
    const nic = this.routes.has(node) ? this.routes.get(node) : this.secondNics.has(node) ? "eth1" : "eth0";
    return nic !== undefined && this.nicsOf(node).has(nic) ? nic : undefined;
  }

  /** Processes look at the clock when they start. */
  setClock(node: number, ahead: Millis): void {
    this.#ahead.set(node, ahead);
  }

  changeMac(node: number): void {
    this.#cards.set(node, (this.#cards.get(node) ?? 0) + 1);
    this.#tell(node, (speaker) => speaker.setMac(this.macOf(node)));
  }

  setCarrier(node: number, running: boolean): void {
    if (running) this.withoutCarrier.delete(node);
    else this.withoutCarrier.add(node);
    this.#tell(node, (speaker) => speaker.setCarrier(running));
  }

  /** Its kernel brings packets of these families to Pods, or no longer. */
  setPath(node: number, delivers: boolean, fault: PathFault = "noPodRoute", of: readonly Family[] = families): void {
    const faultsOf = (family: Family) => (!delivers && of.includes(family) ? [fault] : []);
    const faults = { IPv4: faultsOf("IPv4"), IPv6: faultsOf("IPv6") };
    if (delivers) this.withoutPath.delete(node);
    else this.withoutPath.set(node, faults);
    this.#tell(node, (speaker) => speaker.setPath(faults));
  }

  /** It has these NICs beside the one on the LAN. */
  setOtherNics(node: number, nics: readonly InterfaceState[]): void {
    this.#otherNics.set(node, nics);
    this.#tell(node, (speaker) => speaker.setOtherNics(nics));
  }

  setSecondNic(node: number, isThere: boolean): void {
    if (isThere) this.secondNics.add(node);
    else this.secondNics.delete(node);
    this.#secondNicChanged(node);
  }

  setSecondCarrier(node: number, running: boolean): void {
    if (running) this.withoutSecondCarrier.delete(node);
    else this.withoutSecondCarrier.add(node);
    this.#secondNicChanged(node);
  }

  #secondNicChanged(node: number): void {
    this.#tell(node, (speaker) => speaker.setOtherNics(this.otherNics(node)));
    this.#routesChanged(node);
  }

  /** Its first NIC has addresses on the LAN, or none. */
  setSubnet(node: number, isThere: boolean): void {
    if (isThere) this.withoutSubnet.delete(node);
    else this.withoutSubnet.add(node);
    this.#tell(node, (speaker) => speaker.addressChanged());
  }

  /** @param route undefined: the usual one */
  setRoute(node: number, route: { readonly by: string | undefined } | undefined): void {
    if (route === undefined) this.routes.delete(node);
    else this.routes.set(node, route.by);
    this.#routesChanged(node);
  }

  /** It has a default route, by way of the router, or none. */
  setGateway(node: number, isThere: boolean): void {
    if (isThere) this.withoutGateway.delete(node);
    else this.withoutGateway.add(node);
    this.#tell(node, (speaker) => speaker.gatewaysChanged());
  }

  #routesChanged(node: number): void {
    this.#tell(node, (speaker) => speaker.routesChanged());
  }

  #tell(node: number, change: (speaker: SpeakerProcess) => void): void {
    this.changedAt = this.#time.now;
    const speaker = this.#speakers.get(node);
    if (speaker?.process.isRunning) speaker.process.at(this.#time.now, () => change(speaker));
  }
}

function secondNic(node: number, running: boolean): InterfaceState {
  const addresses = [`192.0.2.${220 + node}/24`, `2001:db8::${220 + node}/64`];
  return { index: 3, name: "eth1", mac: `02:00:00:00:01:0${node}`, status: "answering", running, addresses };
}
