import { setImmediate } from "node:timers/promises";
import { type Backup, LocalApi, type ObjectChange } from "#e2e/apiserver";
import { announcedConfigMaps } from "#pkg/announced";
import type { Incoming, SimulatedRouter } from "#pkg/bgp/testing";
import type { Clock, Millis, Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { addressOf, firstCentral, nameOf, SimulatedPaths, Simulation } from "#pkg/memberlist/testing";
import { parseAddress } from "#pkg/net";
import { type OwnNodeRule, ownNodeRule } from "../../../speaker/core/members/node-state.ts";
import type { SpeakerRunner } from "../../../speaker/core/replay.ts";
import { type LargeRing, largeRing } from "../../../speaker/members/ring/state.ts";
import { ApiConnection, type ApiWeather } from "./api/api-connection.ts";
import { ConfigurationObjects } from "./api/configuration-objects.ts";
import { NodeObjects } from "./api/node-objects.ts";
import { apiAddress, keyOf, namespace, type ServiceSpec } from "./api/objects.ts";
import { People } from "./api/people.ts";
import { ControllerProcess } from "./controller-process.ts";
import { type ConfigSource, type Cut, hasField, ownTeam, type RouterRestart } from "./history.ts";
import { Machines } from "./machines.ts";
import { Lan, LanConditions } from "./network/lan.ts";
import type { RouterLink } from "./network/router-link.ts";
import { type Lost, neighborName, Routing } from "./network/routing.ts";
import { SimulatedProcess, type Time } from "./simulated-process.ts";
import { nodeAddresses, SpeakerProcess } from "./speaker-process.ts";

export interface SimulatedClusterOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Share of the ring's packets that is lost, between 0 and 1. */
  readonly loss: number;
  /** The nodes whose speakers lack the capability NET_ADMIN. */
  readonly withoutNetAdmin?: readonly number[];
  /** The nodes with a second NIC. */
  readonly secondNics?: readonly number[];
  /** The longest that a speaker's main thread takes between two turns of work; 1 ms where absent. */
  readonly maxTurnMs?: Millis;
  /** The work of controllers and of speakers' main threads takes milliseconds now and then; none where absent. */
  readonly isSlow?: boolean;
  /** The longest that each thread and each first list of a speaker takes when it starts; none where absent. */
  readonly startDelayMs?: Millis;
  readonly weather: ApiWeather;
  /** How many central speakers there are; none where absent. */
  readonly centralSpeakers?: number;
  /** Speakers watch one another by BFD, with a packet this often; not at all where absent. */
  readonly failoverMs?: Millis | undefined;
  /** No speaker has a ring: each knows by the API alone which others there are. */
  readonly withoutRing?: boolean;
  /** They do so only while the configuration says that. */
  readonly followsFailover?: boolean;
  /** The ConfigMap's text at the start, or the manifests of custom resources. */
  readonly config: string;
  /** `configmap` where absent. */
  readonly configSource?: ConfigSource | undefined;
  /** Whether speakers record Events of their Nodes; absent: they do not. */
  readonly hasNodeEvents?: boolean;
  /** Speakers ask kube-proxy for its Pods of each `Local` Service. */
  readonly hasHealthPorts?: boolean;
  /** Speakers try connections to Services. */
  readonly triesConnections?: boolean;
  /** The router connects to nodes, which take its connections; absent: nodes connect alone. */
  readonly routerDials?: boolean;
  /** Called with each change in the API, and whether people made it. */
  readonly onChange: (change: ObjectChange, byPeople: boolean) => void;
  /** Called for each speaker that starts; the result hears the inputs and outputs of its core. */
  readonly watchCore?: ((node: string, ownNode: OwnNodeRule) => SpeakerRunner["onStep"]) | undefined;
}

const controllers = 2;
/** By the seed: speakers follow all Nodes, or as in a cluster of thousands, where they follow those that tell nothing one by one, or all. */
const ownNodeRules: readonly OwnNodeRule[] = [
  ownNodeRule,
  { fromMembers: 2, maxUntold: 8, afterMs: 500, startMs: 300, mostStartMs: 1_500, jitterMs: 1_000 },
  { fromMembers: 3, maxUntold: 0, afterMs: 500, startMs: 300, mostStartMs: 1_500, jitterMs: 1_000 },
];
/** By the seed: the ring is a small one, or as one of 5,000, whose members gather changes and follow Pods now and then. */
const rings: readonly LargeRing[] = [
  largeRing,
  { gatherMs: () => 50, fromMembers: 2, followMs: 2_000, restMs: 3_000, aloneMs: 500, meetMs: 2_000, mostMeetMs: 6_000 },
];
// How long a kubelet takes to report a container that ended, and the cluster a machine.
const containerGoneMs: Millis = 1_500;
const machineGoneMs: Millis = 40_000;
// A kubelet's readiness probes, as the manifests have them.
const probeMs: Millis = 5_000;
const maxProbeFailures = 3;
// And to report that a node has another address.
const kubeletMs: Millis = 10_000;
const firstNewHost = 0x100;
const maxLines = 100_000;
// In a moment that never ends, a process asks again and again for a time that is past.
const maxTurnsAtOnce = 100_000;
// The machines' clocks at the beginning: a clock that is set back is still after the beginning of their time.
const wallClockMs: Millis = 100_000_000;

/** A speaker began to announce an address, or ended. */
export interface Move {
  readonly at: Millis;
  readonly node: number;
  readonly address: string;
  readonly on: boolean;
}

/**
 * A whole cluster in one process and in simulated time: an API with its connections, two controllers, a speaker on each node, their ring, a
 * LAN, and a router. Left out: containers, the kernel's forwarding. One seed always gives the same course of events.
 */
export class SimulatedCluster {
  readonly ring: Simulation;
  readonly api: LocalApi;
  readonly routing: Routing;
  readonly lan: Lan;
  readonly lanConditions: LanConditions;
  readonly speakers = new Map<number, SpeakerProcess>(); // node -> its speaker, ended ones too
  readonly centralSpeakers = new Map<number, SpeakerProcess>(); // from `firstCentral` on -> the same
  readonly controllers = new Map<number, ControllerProcess>();
  readonly people: People;
  /** Events, for people: `seconds what`. */
  readonly lines: string[] = [];
  readonly moves: Move[] = [];
  readonly machines: Machines;
  /** Gratuitous announcements, which clients hear. */
  readonly announcements: Omit<Move, "on">[] = [];
  readonly nodes: NodeObjects;
  /** Of processes that start from now on. */
  configSource: ConfigSource;
  readonly earlier = new Set<number>(); // nodes whose next speaker has the formats of an earlier version
  readonly withoutNetAdmin: Set<number>; // nodes whose next speaker lacks the capability NET_ADMIN
  /** When the API was last put back to what it had before. */
  restoredAt: Millis = -Infinity;
  readonly time: Time;
  readonly #options: SimulatedClusterOptions;
  readonly #paths: SimulatedPaths | undefined;
  readonly #random: Random;
  readonly #clock: Clock;
  #isBusy = false; // Promises may wait for what happened.
  #starts = 0;
  #newHosts = 0; // Addresses that were given besides those of the beginning.

  constructor(options: SimulatedClusterOptions) {
    const { seed, loss, withoutNetAdmin = [], onChange } = options;
    this.#options = options;
    this.withoutNetAdmin = new Set(withoutNetAdmin);
    this.#random = seededRandom(seed);
    this.ring = new Simulation({
      seed: seed + 1,
      loss,
      onEffect: (node, effect) => {
        this.#paths?.onEffect(node, effect);
        const speaker = this.speakerOf(node);
        if (speaker?.process.isRunning) speaker.onRingEffect(effect);
      },
    });
    const { ring } = this;
    if (options.failoverMs !== undefined) this.#paths = new SimulatedPaths(ring, options.failoverMs, seededRandom(seed + 2));
    this.time = {
      get now() {
        return ring.now;
      },
      schedule: (at, fn) =>
        ring.schedule(Math.max(at, ring.now), () => {
          this.#isBusy = true;
          fn();
        }),
    };
    this.#clock = {
      now: () => ring.now,
      schedule: (_name, at, fn) => {
        let isCancelled = false;
        this.time.schedule(at, () => isCancelled || fn());
        return {
          [Symbol.dispose]: () => {
            isCancelled = true;
          },
        };
      },
    };
    this.api = new LocalApi({
      namespaces: ["default", namespace],
      now: () => new Date(wallClockMs + ring.now),
      onChange: (change) => onChange(change, this.people.areActing),
    });
    this.configSource = options.configSource ?? "configmap";
    const objects =
      this.configSource === "crds" ? new ConfigurationObjects(this.api, this.time, seededRandom(seed + 3)) : undefined;
    this.people = new People(this.api, objects);
    this.machines = new Machines(this.speakers, this.time, options.secondNics);
    const lan = { ring, time: this.time, random: this.#random };
    this.lanConditions = new LanConditions(lan);
    this.lan = new Lan({
      ...lan,
      conditions: this.lanConditions,
      speakers: this.speakers,
      withoutCarrier: this.machines.withoutCarrier,
      answered: (node) => this.#answered(node),
      macOf: (node) => this.machines.macOf(node),
      onAnnounced: (node, address) => this.announcements.push({ at: this.now, node, address }),
    });
    const readDelay = seededRandom(seed + 2);
    this.routing = new Routing({
      clock: this.#clock,
      random: this.#random,
      readDelay,
      lan: this.lanConditions,
      takesPaths: hasField(options.config, "addPath"),
      dials: options.routerDials === true,
    });
    this.people.setConfig(options.config, false);
    this.people.act(() => {
      for (const name of announcedConfigMaps)
        this.api.create("configmaps", namespace, { metadata: { name, labels: { "ingot-use": "announced" } } });
    });
    this.nodes = new NodeObjects({ api: this.api, ring, people: (act) => this.people.act(act) });
    this.people.setTeam(ownTeam);
    this.nodes.makeMissing(options.nodes);
    for (let i = 0; i < controllers; i++) this.startController(i);
    for (let node = 0; node < options.nodes; node++) this.startSpeaker(node);
    for (let one = 0; one < this.#centralCount; one++) this.startSpeaker(firstCentral + one);
  }

  get #centralCount(): number {
    return this.#options.centralSpeakers ?? 0;
  }

  /** The speaker of a node, or a central one. */
  speakerOf(index: number): SpeakerProcess | undefined {
    return (index < firstCentral ? this.speakers : this.centralSpeakers).get(index);
  }

  get hasRing(): boolean {
    return this.#options.withoutRing !== true;
  }

  /** Whether each of two speakers hears when the other one is gone: without a ring by the API. */
  hear(one: number, other: number): boolean {
    if (this.hasRing) return this.ring.reaches(one, other) && this.ring.reaches(other, one);
    return [one, other].every((node) => this.speakers.get(node)?.hasLostApi === false);
  }

  /** Whether all that run take just these for members. */
  get agreesOnMembers(): boolean {
    if (this.hasRing) return this.ring.isConverged();
    const running = [...this.speakers].filter(([, { process }]) => process.isRunning);
    const names = running.map(([node]) => nameOf(node)).sort();
    return running.every(([, { members, hasLostApi }]) => !hasLostApi && members.toSorted().join() === names.join());
  }

  get router(): SimulatedRouter {
    return this.routing.router;
  }

  get weather(): Readonly<ApiWeather> {
    return this.#options.weather;
  }

  get now(): Millis {
    return this.ring.now;
  }

  note(line: string): void {
    if (this.lines.length < maxLines) this.lines.push(`${(this.now / 1000).toFixed(3)} ${line}`);
  }

  /** Lets time pass. As in Node, what was promised in an event is done before the next event. */
  async pass(duration: Millis): Promise<void> {
    const end = this.now + duration;
    let before = this.now;
    let turns = 0;
    do {
      if (this.#isBusy) await setImmediate();
      this.#isBusy = false;
      this.ring.runFor(end - this.now, () => this.#isBusy);
      turns = this.now > before ? 0 : turns + 1;
      if (turns > maxTurnsAtOnce) throw new Error(`at ${before} ms: somebody is woken over and over`);
      before = this.now;
    } while (this.#isBusy || this.now < end);
  }

  startController(index: number): void {
    const process = this.#process(`controller-${index}`);
    this.controllers.set(
      index,
      new ControllerProcess(process, this.#connect(process), this.configSource, (line) => this.note(line)),
    );
    this.#isBusy = true;
  }

  killController(index: number): void {
    this.controllers.get(index)?.process.kill();
  }

  /** As on SIGTERM. */
  stopController(index: number): void {
    void this.controllers.get(index)?.stop();
  }

  startSpeaker(node: number): void {
    const process = this.#process(nameOf(node));
    const { startDelayMs = 0 } = this.#options;
    this.machines.turnOn(node);
    const ownNode = this.earlier.has(node)
      ? ownNodeRule
      : (ownNodeRules[this.#options.seed % ownNodeRules.length] ?? ownNodeRule);
    this.#link(node).begin((incoming) => this.#accept(node, incoming));
    this.#update(node, true);
    const speaker = new SpeakerProcess({
      index: node,
      process,
      connection: this.#connect(process, startDelayMs),
      startDelayMs,
      ring: this.ring,
      hasRing: this.hasRing,
      keepsPaths:
        this.#paths !== undefined && this.#options.followsFailover === true ? "asConfigured" : this.#paths !== undefined,
      nicAddresses: this.machines.nic(node),
      connections: this.machines.connections(node),
      time: this.time,
      bgp: {
        dial: (peer, events) =>
          this.#link(node)
            .network.transport(addressOf(this.ring.hostOf(node)))
            .dial(peer, {
              connected: (end) => events.connected(withIPv6(nodeAddresses(this.ring, node), end)),
              received: (octets) => events.received(octets),
              closed: (because, code) => events.closed(because, code),
            }),
        endNow: (end) => end,
      },
      takesConnections: this.#options.routerDials === true,
      bfd: { watch: (ends, profile, onChange) => this.#link(node).watch(ends, profile, onChange, process.clock) },
      mac: this.machines.macOf(node),
      // As the incarnations of real ones, which begin with the clock.
      life: Math.ceil(wallClockMs + this.now + this.machines.clockAhead(node)) + ++this.#starts,
      isEarlier: this.earlier.has(node),
      ownNode,
      largeRing: rings[Math.floor(this.#options.seed / ownNodeRules.length) % rings.length] ?? largeRing,
      configSource: this.configSource,
      hasNodeEvents: this.#options.hasNodeEvents === true,
      hasNetAdmin: !this.withoutNetAdmin.has(node),
      maxTurnMs: this.#options.maxTurnMs ?? 1,
      otherNics: this.machines.otherNics(node),
      hasSubnet: () => !this.machines.withoutSubnet.has(node),
      route: () => this.machines.routeOf(node),
      hasGateway: () => !this.machines.withoutGateway.has(node),
      servedHere: this.#options.hasHealthPorts === true ? () => this.servedOn(node) : undefined,
      lan: this.lan.actionsOf(node),
      onMove: (address, on) => this.moves.push({ at: this.now, node, address, on }),
      connects: this.#options.triesConnections === true ? (clusterIP) => this.#connects(node, clusterIP) : undefined,
      record: (line) => this.note(line),
      onStep: this.#options.watchCore?.(nameOf(node), ownNode),
      announceFor: node >= firstCentral ? "all" : this.#centralCount > 0 ? "node-without-bgp" : "node",
    });
    (node < firstCentral ? this.speakers : this.centralSpeakers).set(node, speaker);
    this.#isBusy = true;
    if (this.#centralCount > 0) this.nodes.setHeard(node, true);
    if (this.machines.withoutCarrier.has(node)) speaker.setCarrier(false);
    speaker.setPath(this.machines.withoutPath.get(node) ?? { IPv4: [], IPv6: [] });
    let failures = maxProbeFailures; // A container that has just started is not ready until a probe says so.
    const probe = () => {
      if (this.speakerOf(node) !== speaker || !process.isRunning) return;
      const { isReady } = speaker;
      failures = isReady ? 0 : failures + 1;
      const isTold = isReady || failures >= maxProbeFailures;
      if (isTold && isReady !== this.nodes.isReady(node)) this.nodes.setReady(node, isReady);
      this.time.schedule(this.now + (isReady ? probeMs : 1000), probe);
    };
    this.time.schedule(this.now + 1000, probe);
  }

  /** The process ends, the machine goes on: its kernel closes connections. */
  killSpeaker(node: number): void {
    this.#end(node, containerGoneMs);
    this.#link(node).end(false);
  }

  /** The machine is gone without a word. */
  powerOff(node: number): void {
    this.#end(node, machineGoneMs);
    this.machines.turnOff(node);
    this.#link(node).end(true);
  }

  async stopSpeaker(node: number): Promise<void> {
    const speaker = this.speakerOf(node);
    this.nodes.setReady(node, false);
    await speaker?.stop();
    if (this.speakerOf(node) === speaker && speaker?.process.isRunning) this.#end(node, containerGoneMs);
  }

  stallSpeaker(node: number, duration: Millis): void {
    this.speakerOf(node)?.process.stall(duration);
    this.ring.stall(node, duration);
    const link = this.#link(node);
    link.isStalled = true;
    this.time.schedule(this.now + duration, () => {
      link.isStalled = false;
    });
  }

  /** Packets between the node and the router get lost, or none do. */
  cutRouter(node: number, cut: Cut | undefined): void {
    this.routing.cut(this.ring.hostOf(node), cut, this.speakerOf(node)?.process.isRunning === true);
  }

  /**
   * The node has another address from now on. Processes there have sockets that are bound to the former address.
   * @param from the node whose address it takes, which gets a new one; undefined where it gets a new one itself
   */
  changeAddress(node: number, from?: number): void {
    if (from === node) return;
    const after = from === undefined ? firstNewHost + this.#newHosts++ : this.ring.hostOf(from);
    if (from !== undefined) this.changeAddress(from);
    const before = this.#link(node);
    const { cut } = before;
    this.#update(node, false);
    const bfd = before.leave();
    this.ring.setHost(node, after);
    this.note(`${nameOf(node)} is at ${addressOf(after)} from now on`);
    const link = this.#link(node);
    const speaker = this.speakers.get(node);
    const isRunning = speaker?.process.isRunning === true;
    if (isRunning) {
      link.begin((incoming) => this.#accept(node, incoming));
      link.take(bfd);
      speaker.connection.loseWatches();
      speaker.process.at(this.now, () => speaker.addressChanged());
    }
    link.cut = cut;
    this.#update(node, isRunning);
    this.time.schedule(this.now + kubeletMs, () => this.nodes.setReady(node, this.speakers.get(node)?.isReady === true));
  }

  /** From the next speaker on. */
  setNetAdmin(node: number, hasNetAdmin: boolean): void {
    if (hasNetAdmin) this.withoutNetAdmin.delete(node);
    else this.withoutNetAdmin.add(node);
  }

  /** @param length until it runs again */
  restartRouter(how: RouterRestart, length: Millis, takesPaths = this.router.takesPaths): void {
    if (!this.routing.isRunning) return;
    this.routing.stopRouter(how);
    this.router.takesPaths = takesPaths;
    this.time.schedule(this.now + length, () => this.routing.startRouter(how));
  }

  /** Everything in the API is as it was then, and so is what people want. */
  restore(backup: Backup, services: ReadonlyMap<string, ServiceSpec>, bump: boolean): void {
    this.restoredAt = this.now;
    this.people.restore(backup, services, bump);
    for (const [node, speaker] of this.speakers) this.nodes.setReady(node, speaker.isReady);
    this.time.schedule(this.now + kubeletMs, () => this.nodes.makeMissing(this.#options.nodes));
    this.#isBusy = true;
  }

  /** The nodes that answer for each address. */
  owners(): Map<string, number[]> {
    const owners = new Map<string, number[]>();
    for (const node of this.speakers.keys())
      for (const address of this.#answered(node)) owners.set(address, [...(owners.get(address) ?? []), node]);
    return owners;
  }

  /** The Services of which the node's kube-proxy knows a Pod there. */
  servedOn(node: number): ReadonlySet<string> {
    const { machines, people } = this;
    const here = people.services.entries().filter(([, { endpoints }]) => endpoints.includes(node));
    return machines.stoppedProxies.get(node) ?? new Set(here.map(([name]) => keyOf(name)));
  }

  /** Whether the node's kernel gets an answer at a cluster IP: a Pod's, or a refusal, because the Service has no Pod. */
  #connects(node: number, clusterIP: string): boolean {
    const { machines, people, api, ring } = this;
    if (machines.silent.has(node) || machines.withoutPath.has(node)) return false;
    if (clusterIP === apiAddress) return this.speakerOf(node)?.connection.isCut === false;
    const specOf = (name: string) => (api.get("services", keyOf(name))?.spec ?? {}) as { clusterIPs?: readonly string[] };
    const isOf = (name: string) => specOf(name).clusterIPs?.includes(clusterIP) === true;
    const [, { endpoints = [] } = {}] = people.services.entries().find(([name]) => isOf(name)) ?? [];
    const to = endpoints[Math.floor(this.#random() * endpoints.length)] ?? node;
    return to === node || (machines.isOn(to) && ring.reaches(node, to) && ring.reaches(to, node));
  }

  /** The router connects to a node. */
  #accept(node: number, incoming: Incoming): void {
    const end = withIPv6(nodeAddresses(this.ring, node), incoming.end);
    this.speakerOf(node)?.accept({ end, open: (events) => incoming.open(events) });
  }

  /** The name by which the router knows whoever has a node's address now. */
  neighborOf(node: number): string {
    return neighborName(this.ring.hostOf(node));
  }

  /** Whether packets pass between the node and the router, which runs. */
  reachesRouter(node: number): boolean {
    return this.routing.reaches(this.ring.hostOf(node));
  }

  /** Since when the router cannot reach the speaker of a neighbor; undefined where it can. */
  lost(neighbor: string): Lost | undefined {
    return this.routing.lost(neighbor);
  }

  #end(node: number, noticedAfter: Millis): void {
    const speaker = this.speakerOf(node);
    if (speaker === undefined || !speaker.process.isRunning) return;
    speaker.process.kill();
    this.ring.kill(node);
    this.#update(node, false);
    this.time.schedule(this.now + noticedAfter, () => {
      if (this.speakerOf(node) !== speaker) return;
      this.nodes.setReady(node, false);
      if (noticedAfter === machineGoneMs && this.#centralCount > 0) this.nodes.setHeard(node, false);
    });
  }

  /** The addresses that a node answers for: its speaker, and its kernel. */
  #answered(node: number): ReadonlySet<string> {
    const speaker = this.speakers.get(node);
    const byKernel = new Set(this.machines.nic(node).all);
    return speaker?.process.isRunning ? speaker.announced.difference(speaker.leftToKernel).union(byKernel) : byKernel;
  }

  #link(node: number): RouterLink {
    return this.routing.link(this.ring.hostOf(node));
  }

  /** Notes whether the router can reach a node. */
  #update(node: number, canReach: boolean): void {
    this.routing.update(this.ring.hostOf(node), canReach);
  }

  #process(name: string): SimulatedProcess {
    const seed = Math.floor(this.#random() * 2 ** 31);
    const bootedAt = -Math.floor(this.#random() * 1e6);
    const slowness = this.#options.isSlow === true ? seededRandom(seed + 1) : undefined;
    return new SimulatedProcess(name, this.time, seededRandom(seed), bootedAt, slowness);
  }

  #connect(process: SimulatedProcess, firstMs: Millis = 0): ApiConnection {
    return new ApiConnection(this.api, process, this.time, this.#options.weather, firstMs);
  }
}

/** An interface has these addresses, of which the IPv6 one is the next hop of IPv6 prefixes in an IPv4 session. */
function withIPv6(addresses: readonly string[], end: Incoming["end"]): Incoming["end"] {
  const own = addresses.find((each) => each.includes(":"))?.split("/")[0];
  const address = own === undefined ? undefined : parseAddress(own);
  return address === undefined ? end : { ...end, addresses: new Map([...end.addresses, ["IPv6", address]]) };
}

export function prefixOf(address: string): string {
  return address.includes(":") ? `${address}/128` : `${address}/32`;
}
