import assert from "node:assert/strict";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { CoreRunner, hideByKey, Recorder, recordLine } from "#pkg/core";
import { type GossipState, GossipStore, type OwnEntry } from "#pkg/gossip";
import { GossipNode } from "#pkg/gossip/testing";
import type { Handover } from "#pkg/handover";
import type { EndpointSlice, Service } from "#pkg/k8s";
import { endpointSlice, service } from "#pkg/k8s/testing";
import type { Item } from "#pkg/kernel";
import type { InterfaceState } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import type { Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type BgpRoute, elect, excludeLabel, type Labels } from "#pkg/placement";
import type { MeasuredEffect, SpeakerEffect } from "../core/effects.ts";
import { ownNodeRule } from "../core/members/node-state.ts";
import { speakerCore } from "../core/replay.ts";
import { type AnnounceFor, createState, type SpeakerState } from "../core/state.ts";
import { SpeakerView } from "../core/view.ts";

const hide = hideByKey(new Uint8Array(32));
export const nodes = ["node1", "node2", "node3"];
export const x = "192.0.2.1";
export const owner = elect(nodes, address(x)) ?? "";
export const loser = nodes.find((node) => node !== owner) ?? "";
export const ssd = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28], node-selectors: [{match-labels: {disk: ssd}}]}";
export const excluded: Labels = { [excludeLabel]: "" };

export function pools(text = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}", peers = "") {
  const { config, problems } = parseConfig(`{peers: [${peers}], address-pools: [${text}]}`);
  assert.ok(config, JSON.stringify(problems));
  return { config, pools: new PoolIndex(config.pools) };
}

/** The core of one speaker, what it has on the wire, and what it reports. */
export class Bench {
  readonly wire = new Map<string, string>(); // address -> the interfaces it is announced on
  readonly routes = new Map<string, string>(); // address -> its routes and the peers that they are advertised to
  readonly kernel = new Map<string, readonly Item[]>(); // address -> what this node's kernel is to have for it
  readonly handovers = new Map<string, Handover>(); // address -> to whom its packets go
  readonly counted = new Set<string>(); // Addresses that connections are counted for.
  speakers: readonly string[] = []; // MAC addresses.
  isLeaving = false; // Peers are to prefer others for all routes.
  readonly kernelAnswers = new Set<string>(); // Addresses on the wire that the kernel answers for.
  followedNames: readonly string[] = []; // Names of interfaces that may be second ones.
  followsGateways = false;
  followed: string[] = []; // Addresses, of which it wants to know by which interface they are reached.
  readonly nodesFollowed: ("all" | readonly string[])[] = []; // Names of the Nodes, each time.
  readonly watched: string[] = []; // Nodes that are watched by BFD, each time.
  isKernelComplete = false;
  readonly flushed: boolean[] = []; // Whether all had been placed, each time.
  readonly reported: string[] = []; // Log lines from info on, and Kubernetes events.
  readonly told = new Map<string, string>(); // service key -> what the controller is told of it
  tellings = 0; // How often lines were written.
  beats = 0; // How often it said that it is there, without a line.
  /** It says in proofs that it has lost all other speakers. */
  alone = false;
  readonly firsts: string[] = []; // Addresses of which it was said that no node had announced them.
  readonly measured: MeasuredEffect[] = [];
  readonly lines: string[] = []; // Frames and changes on the wire.
  readonly recorded: string[] = []; // Kubernetes events of Services, as `service: reason`.
  readonly written: string[] = []; // Addresses that were written as occupied, or as free.
  onGossip = (_entries: readonly OwnEntry[]): void => {};
  /** Before it begins it waits for what becomes of these connections. */
  onTryFirst = (_effect: Extract<SpeakerEffect, { type: "tryFirst" }>): void => {};
  onStartConfig = (): void => {};
  log: Log = silentLog; // It gets lines of all levels.
  readonly clock = new SimulatedClock();
  readonly runner = new CoreRunner(speakerCore, this.clock, () => 0.5);
  readonly recorder: Recorder;
  readonly state: SpeakerState;
  active: readonly string[];
  wakes = 0;
  readonly #isSynced: boolean;
  readonly #slices = new Map<string, EndpointSlice>();

  /** @param options.isSynced it counts on all members at once */
  constructor(
    node: string,
    {
      ignoreExcludeLabel = false,
      hasRing = false,
      recorder = new Recorder(),
      active = nodes,
      isSynced = false,
      ownNode = ownNodeRule,
      announceFor = "node" as AnnounceFor,
    } = {},
  ) {
    this.recorder = recorder;
    this.active = active;
    this.#isSynced = isSynced;
    this.state = createState({ node, ignoreExcludeLabel, hasRing, ownNode, announceFor });
    this.runner.onStep = ({ event, now }, effects) => this.recorder.add(recordLine(speakerCore, { event, now }, effects, hide));
    this.runner.start(this.state, (effect) => this.#carryOut(effect));
    this.membersChanged();
  }

  /** In force, with one ready Service. */
  static announcing(node = owner, ignoreExcludeLabel = false): Bench {
    const bench = new Bench(node, { ignoreExcludeLabel });
    bench.setConfig(pools());
    bench.serve("default/web", [x]);
    bench.start();
    bench.proceed();
    bench.reported.length = 0;
    return bench;
  }

  setConfig({ config, pools: index }: ReturnType<typeof pools>): void {
    this.runner.dispatch({ type: "config", config, pools: index });
  }

  serve(key: string, ingress: string[], more: Partial<Service> = {}, ready: Record<string, boolean> = { node1: true }): void {
    this.setService(key, service(key, { ingress, ...more }));
    this.endpoints(key, ready);
  }

  setService(key: string, service: Service | undefined): void {
    this.runner.dispatch({ type: "service", key, service });
  }

  endpoints(key: string, ready: Record<string, boolean>, family?: Family): void {
    const now = endpointSlice(key, ready, family);
    this.runner.dispatch({ type: "slice", key: now.key, now, before: this.#slices.get(now.key) });
    this.#slices.set(now.key, now);
  }

  setNode(
    name: string,
    labels: Labels | undefined,
    taints: readonly string[] = [],
    internalIPs: readonly string[] = [],
    unschedulable = false,
  ): void {
    const node = labels && { labels, unschedulable, deleting: false, taints, flannelAddresses: [], internalIPs };
    this.runner.dispatch({ type: "node", name, node });
  }

  /** These are active now, or else those of `active`. */
  membersChanged(active = this.active, withoutGossip: readonly string[] = [], starting: readonly string[] = []): void {
    this.active = active;
    this.runner.dispatch({ type: "members", active, withoutGossip, starting, isSynced: this.#isSynced });
  }

  setInterfaces(...interfaces: InterfaceState[]): void {
    this.runner.dispatch({ type: "interfaces", interfaces });
  }

  /** The speaker has seen every object that announcements depend on. */
  start(): void {
    this.runner.dispatch({ type: "start" });
  }

  proceed(): void {
    this.runner.dispatch({ type: "continue" });
  }

  /** Until nothing is left to do. */
  settle(): void {
    for (this.wakes = 1; this.wakes > 0; this.proceed()) this.wakes = 0;
  }

  /** Carries out what a part of the core does by itself. */
  run(work: (effects: SpeakerEffect[]) => void): void {
    const effects: SpeakerEffect[] = [];
    work(effects);
    for (const effect of effects) this.#carryOut(effect);
    this.timer(); // Deadlines may be others.
  }

  timer(): void {
    this.runner.dispatch({ type: "timer", chance: 0.5 });
  }

  /** The lines on the wire since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }

  get view(): SpeakerView {
    return new SpeakerView(this.state);
  }

  get onWire(): string[] {
    return [...this.wire.keys()].sort();
  }

  get gossip(): GossipState {
    assert.ok(this.state.members.gossip);
    return this.state.members.gossip;
  }

  #carryOut(effect: SpeakerEffect): void {
    switch (effect.type) {
      case "announce":
        this.#sent(effect);
        this.wire.set(effect.address.toString(), effect.interfaces.join());
        if (effect.kernelAnswers) this.kernelAnswers.add(effect.address.toString());
        else this.kernelAnswers.delete(effect.address.toString());
        break;
      case "listen":
        this.#sent(effect);
        break;
      case "withdraw":
        this.lines.push(`withdraw ${effect.address}`);
        this.wire.delete(effect.address.toString());
        break;
      case "probe": // The first of three.
        this.lines.push(`probe ${effect.to ?? "all"} for ${effect.address}`);
        this.firsts.push(effect.address.toString());
        break;
      case "setAlone":
        this.alone = effect.isAlone;
        break;
      case "challenge":
        this.lines.push(`challenge ${effect.to} for ${effect.address}`);
        break;
      case "defend":
      case "reannounce":
        this.lines.push(`${effect.type} ${effect.address}`);
        break;
      case "writeOccupant":
        this.written.push(`${effect.address} ${effect.occupant === undefined ? "free" : JSON.stringify(effect.occupant)}`);
        break;
      case "followNodes":
        this.nodesFollowed.push(effect.names);
        break;
      case "watchNodes":
        this.watched.push(effect.nodes.map(({ name, address }) => `${name} ${address}`).join());
        break;
      case "setGossip":
        this.onGossip(effect.entries);
        break;
      case "tryFirst":
        this.onTryFirst(effect);
        break;
      case "startConfig":
        this.onStartConfig();
        break;
      case "setRoutes":
        this.#setRoutes(effect.address.toString(), effect.routes);
        break;
      case "setPeers":
        this.isLeaving = effect.peers.isLeaving;
        break;
      case "setKernel":
        if (effect.items.length === 0) this.kernel.delete(effect.address.toString());
        else this.kernel.set(effect.address.toString(), effect.items);
        break;
      case "setHandover":
        if (effect.handover === undefined) this.handovers.delete(effect.address.toString());
        else this.handovers.set(effect.address.toString(), effect.handover);
        break;
      case "countFlows":
        if (effect.isCounted) this.counted.add(effect.address.toString());
        else this.counted.delete(effect.address.toString());
        break;
      case "setSpeakers":
        this.speakers = effect.macs;
        break;
      case "followRoutes":
        this.followed = effect.addresses.map(String);
        this.followedNames = effect.names;
        this.followsGateways = effect.gateways;
        break;
      case "completeKernel":
        this.isKernelComplete = true;
        break;
      case "flushRoutes":
        this.flushed.push(effect.complete);
        break;
      case "log":
        this.log[effect.level](effect.message, effect.fields);
        if (effect.level !== "debug" && effect.fields.event !== "membersChanged")
          this.reported.push(`${effect.message} ${JSON.stringify(effect.fields)}`);
        break;
      case "recordEvent":
        this.recorded.push(`${effect.service.name}: ${effect.reason}`);
        this.reported.push(
          effect.kind === "Normal"
            ? `${effect.reason} ${effect.service.key}`
            : `${effect.reason} ${effect.service.key} ${effect.message}`,
        );
        break;
      case "recordNodeEvent":
        this.reported.push(`${effect.reason} Node ${effect.node} ${effect.message}`);
        break;
      case "writeAnnounced":
        if (effect.lines.size > 0) this.tellings++;
        else this.beats++;
        if (effect.isNew) this.told.clear();
        for (const [key, line] of effect.lines)
          if (line === null) this.told.delete(key);
          else this.told.set(key, `${line.cause}: ${line.message}`);
        break;
      case "tookOver":
      case "converged":
        this.measured.push(effect);
        break;
      case "wake":
        this.wakes++;
        break;
      default: // Drivers' own affairs.
    }
  }

  #sent({ type, address, interfaces }: SpeakerEffect & { type: "announce" | "listen" }): void {
    this.lines.push(`${type} ${address}${interfaces.length > 0 ? ` on ${interfaces}` : ""}`);
  }

  #setRoutes(address: string, routes: readonly BgpRoute[]): void {
    const texts = routes.map(({ prefix, via }) => {
      const isMarked = via.lastResort?.includes(prefix.family) === true;
      return `${prefix} ${via.peers[prefix.family]}${isMarked ? " as the last resort" : ""}`;
    });
    if (routes.length === 0) this.routes.delete(address);
    else this.routes.set(address, texts.join(", "));
  }
}

export const eth0: InterfaceState = {
  index: 2,
  name: "eth0",
  mac: "02:00:00:00:00:01",
  status: "answering",
  running: true,
  addresses: [],
};

/** The speakers of all nodes but this one participate, and can answer on eth0. `hear` delivers what they report to the bench. */
export function gossipTo(bench: Bench, withoutGossip: readonly string[] = []) {
  const others = nodes
    .filter((node) => node !== bench.state.node && !withoutGossip.includes(node))
    .map((node) => new GossipNode(node));
  const store = new GossipStore(bench.state.node, 1);
  for (const { name } of others) {
    store.joined(name, 1);
    bench.runner.dispatch({ type: "member", change: "joined", node: name, incarnation: 0, life: 1, macs: undefined });
  }
  const hear = () => {
    for (const other of others) bench.runner.dispatch({ type: "gossip", entries: store.merge(other.payload(), 0) });
  };
  for (const { state } of others) {
    state.participate();
    state.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", []]]) });
  }
  hear();
  return { others, hear };
}

/** A speaker that participates, with one Service. @param first what happens before it starts */
export function amongOthers(
  node: string,
  text: string,
  peers = "",
  first: (bench: Bench, ring: ReturnType<typeof gossipTo>) => void = () => {},
) {
  const bench = new Bench(node, { hasRing: true });
  const ring = gossipTo(bench);
  first(bench, ring);
  bench.setInterfaces(eth0);
  bench.setConfig(pools(text, peers));
  bench.serve("default/web", [x]);
  bench.start();
  bench.clock.advanceBy(1000);
  bench.proceed();
  bench.proceed();
  bench.reported.length = 0;
  return { bench, ...ring };
}
