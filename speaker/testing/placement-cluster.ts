import assert from "node:assert/strict";
import { type Clock, type Millis, type Random, seededRandom } from "#pkg/clock";
import { PoolIndex, parseConfig } from "#pkg/config";
import { CoreRunner, entryLine, recordStep } from "#pkg/core";
import { type EndpointSlice, type Pod, resources } from "#pkg/k8s";
import { endpointSlice, FakeCluster, pod, service } from "#pkg/k8s/testing";
import type { InterfaceState } from "#pkg/layer2";
import { silentLog } from "#pkg/log";
import { addressOf, type Effect, nameOf, Simulation } from "#pkg/memberlist/testing";
import type { SpeakerEffect } from "../core/effects.ts";
import { type SpeakerRunner, speakerCore } from "../core/replay.ts";
import { createState, type SpeakerState } from "../core/state.ts";
import { RingMembers } from "../members/ring-members.ts";
import { SimulatedMemberlist } from "./simulated-memberlist.ts";

export interface PlacementClusterOptions {
  readonly seed: number;
  /** Of packets, of 1. */
  readonly loss?: number;
  /** The text of `address-pools`, and of what follows. */
  readonly pools: string;
  /** Addresses of each Service, which is named for the first of them; all have ready endpoints everywhere. */
  readonly services: readonly (readonly string[])[];
  /** How late a speaker sees at most what changes in the API: each object at another time, and each speaker at its own. */
  readonly apiLag?: Millis;
  /** How long a speaker takes at most between two turns of work; 1 ms where unset. */
  readonly maxTurn?: Millis;
}

/** A Service as the API has it. */
export interface SimulatedService {
  /** The addresses in its status, in order. */
  readonly ingress: readonly string[];
  /** The nodes with a ready endpoint; undefined: on each, and `externalTrafficPolicy` is `Cluster`. */
  readonly localTo?: readonly number[] | undefined;
}

/** What one speaker's core got and decided, as lines of a recording. */
export interface RecordedSpeaker {
  readonly node: string;
  readonly lines: readonly string[];
}

interface Life {
  readonly members: RingMembers;
  readonly state: SpeakerState;
  readonly runner: SpeakerRunner;
  readonly memberlist: SimulatedMemberlist;
  readonly wire: Set<string>;
  readonly routed: Set<string>; // addresses that it has routes for
  readonly cluster: FakeCluster;
  readonly seen: Map<string, number>; // object -> its version that the speaker has seen
  readonly slices: Map<string, EndpointSlice>; // Service -> its slice that the speaker has seen
}

/** An address that was put on the wire by a node, or taken off. */
export interface Move {
  readonly at: Millis;
  readonly node: number;
  readonly address: string;
  readonly on: boolean;
}

/**
 * Speakers with their ring in simulated time: the ring's protocol, `RingMembers`, `GossipStore` and the core are the real ones. Each sees
 * what the API has at its own time. One seed always gives the same course of events.
 */
export class PlacementCluster {
  readonly simulation: Simulation;
  readonly moves: Move[] = [];
  /** Of every speaker that was started since `record`. */
  readonly recordings: RecordedSpeaker[] = [];
  /** Octets of user messages that nodes made, each once however often it is passed on. */
  octetsBroadcast = 0;
  readonly #options: PlacementClusterOptions;
  readonly #random: Random;
  readonly #lives = new Map<number, Life>(); // node -> its process
  #isRecording = false;
  readonly #stalledUntil = new Map<number, Millis>();
  readonly #interfaces = new Map<number, readonly InterfaceState[]>();
  readonly #services = new Map<string, { readonly service: SimulatedService; readonly version: number }>(); // name -> what the API has
  readonly #ready = new Map<number, boolean>(); // node -> whether its Pod is Ready, where that was said
  readonly #withoutApi = new Set<number>(); // nodes whose speaker does not reach the API
  /** When each speaker will have seen all that the API has. */
  apiSettledAt: Millis = 0;
  readonly #config;
  #starts = 0; // No two processes start at the same time.

  constructor(options: PlacementClusterOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed + 1000);
    this.simulation = new Simulation({
      seed: options.seed,
      loss: options.loss ?? 0,
      onEffect: (node, effect) => this.#onEffect(node, effect),
    });
    const { config, problems } = parseConfig(`address-pools:\n${options.pools}`);
    assert.ok(config, JSON.stringify(problems));
    this.#config = { config, pools: new PoolIndex(config.pools) };
    for (const ingress of options.services) this.#services.set(ingress[0] ?? "", { service: { ingress }, version: 0 });
  }

  /** Keeps what cores get and answer from their start on. */
  record(): void {
    this.#isRecording = true;
  }

  /** Starts these speakers, for the first time or again, and lets them meet. */
  async start(...nodes: readonly number[]): Promise<void> {
    for (const node of nodes) this.#begin(node, [...this.simulation.running, ...nodes]);
    await this.#settle();
    await this.pass(3000);
  }

  /** A member of another kind, which sends no gossip. */
  startForeign(node: number): void {
    this.simulation.start(node);
    this.simulation.join(
      node,
      this.simulation.running.filter((other) => other !== node),
    );
  }

  kill(node: number): void {
    this.simulation.kill(node);
    this.#lives.delete(node);
  }

  /** Leaves in an orderly way, and ends when the others have had time to take over. */
  async stop(node: number): Promise<void> {
    const life = this.#life(node);
    void life.members[Symbol.asyncDispose]();
    await this.pass(1500);
    this.kill(node);
  }

  stall(node: number, duration: Millis): void {
    this.#stalledUntil.set(node, this.simulation.now + duration);
    this.simulation.stall(node, duration);
  }

  /** The API has a node's Pod, with this readiness, whether anything runs there or not. Pods of those that were started are Ready before. */
  setReady(node: number, ready: boolean): void {
    this.#ready.set(node, ready);
    for (const { cluster } of this.#lives.values()) cluster.of(resources.pods).see(this.#podOf(node));
  }

  /** Why the speaker on the node waits for the others. */
  problem(node: number): string | undefined {
    return this.#life(node).members.problem;
  }

  setInterfaces(node: number, interfaces: readonly InterfaceState[]): void {
    this.#interfaces.set(node, interfaces);
    this.#lives.get(node)?.runner.dispatch({ type: "interfaces", interfaces });
  }

  /** Changes a Service in the API, and what it has for endpoints. Each speaker sees the two some time later. */
  setService(name: string, service: SimulatedService): void {
    const version = (this.#services.get(name)?.version ?? 0) + 1;
    this.#services.set(name, { service, version });
    for (const node of this.#lives.keys()) this.#deliver(node, name, version);
  }

  /** The speaker on the node sees no change in the API, until it is given back. */
  takeApi(node: number): void {
    this.#withoutApi.add(node);
    this.#life(node).runner.dispatch({ type: "apiLost", since: this.simulation.now });
  }

  giveApi(node: number): void {
    if (!this.#withoutApi.delete(node) || !this.#lives.has(node)) return;
    this.#life(node).runner.dispatch({ type: "apiLost", since: Infinity });
    for (const [name, { version }] of this.#services) this.#deliver(node, name, version);
  }

  services(): Map<string, SimulatedService> {
    return new Map([...this.#services].map(([name, { service }]) => [name, service]));
  }

  /** Nodes that run and on which, as far as the API has it, the Service may be announced. */
  candidates({ localTo }: SimulatedService): number[] {
    return [...this.#lives.keys()].filter((node) => localTo?.includes(node) ?? true);
  }

  /** What each speaker knows of an address, for when something is wrong. */
  explain(address: string): string {
    const lines = [...this.#lives].map(([node, { state, wire }]) => {
      const { gossip, active } = state.members;
      const owners = gossip?.owners(address).map((owner) => `${owner} (${gossip.viewUncertainty(owner)})`);
      const waiting = active.filter((other) => gossip?.isParticipating(other) === false);
      const placement = state.placements.get(address)?.[0];
      const on = wire.has(address) ? "announces it" : "does not announce it";
      return `node-${node} ${on}, owners ${owners}, active ${active}, of these not participating ${waiting}, candidates ${placement?.candidates}, at ${placement?.owner}`;
    });
    return lines.join("\n");
  }

  /** Whether the members agree on who is one. */
  isConverged(): boolean {
    return this.simulation.isConverged();
  }

  /** Lets time pass, and what was promised be done between its steps. */
  async pass(duration: Millis): Promise<void> {
    const end = this.simulation.now + duration;
    while (this.simulation.now < end) {
      this.simulation.runFor(Math.min(10, end - this.simulation.now));
      await this.#settle();
    }
  }

  /** Lets what was promised be done. */
  async #settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }

  /** Who has each address on the wire. */
  owners(): Map<string, number[]> {
    const addresses = [...this.#services.values()].flatMap(({ service }) => service.ingress);
    const owners = new Map<string, number[]>(addresses.map((address) => [address, []]));
    for (const [node, { wire }] of this.#lives)
      for (const address of wire) owners.set(address, [...(owners.get(address) ?? []), node]);
    return owners;
  }

  /** Nodes with a route for the address. */
  routedAt(address: string): number[] {
    return [...this.#lives].filter(([, { routed }]) => routed.has(address)).map(([node]) => node);
  }

  /** The one that has each address. @throws {AssertionError} where it is not one */
  owner(): Map<string, number> {
    const entries = [...this.owners()].map(([address, nodes]) => {
      assert.equal(
        nodes.length,
        1,
        `${address} is at nodes ${nodes} (seed ${this.#options.seed}, ${this.simulation.describe()})`,
      );
      return [address, nodes[0] ?? -1] as const;
    });
    return new Map(entries);
  }

  /** Nodes that do not participate, as another one sees it. */
  notParticipating(): string[] {
    const nodes = [...this.#lives.keys()].map(nameOf);
    return nodes.filter((node) =>
      [...this.#lives.values()].some(({ state }) => state.members.gossip?.isParticipating(node) === false),
    );
  }

  /** How many addresses each node has. */
  loads(): Map<number, number> {
    return new Map([...this.#lives].map(([node, { wire }]) => [node, wire.size]));
  }

  /** All gossip that the node has. */
  gossip(node: number): Uint8Array {
    return this.#life(node).memberlist.delegate.state();
  }

  state(node: number): SpeakerState {
    return this.#life(node).state;
  }

  #life(node: number): Life {
    const life = this.#lives.get(node);
    if (life === undefined) throw new Error(`Cannot look at node ${node}: it does not run`);
    return life;
  }

  /** @param known nodes whose Pods the API has */
  #begin(node: number, known: readonly number[]): void {
    const startedAt = Math.ceil(this.simulation.now) + ++this.#starts;
    const cluster = new FakeCluster();
    const wire = new Set<string>();
    const routed = new Set<string>();
    const run = (at: Millis, fn: () => void) => this.#at(node, life, at, fn);
    const clock: Clock = {
      now: () => this.simulation.now,
      schedule: (_name, at, fn) => {
        let isCancelled = false;
        run(at, () => isCancelled || fn());
        return {
          [Symbol.dispose]: () => {
            isCancelled = true;
          },
        };
      },
    };
    const memberlist = new SimulatedMemberlist({
      simulation: this.simulation,
      index: node,
      life: startedAt,
      clock,
      onMainThread: (fn) => fn(),
      onBroadcast: (octets) => {
        this.octetsBroadcast += octets;
      },
    });
    const state = createState({ node: nameOf(node), ignoreExcludeLabel: false, hasRing: true });
    const runner = new CoreRunner(speakerCore, clock, this.#random);
    const ring = new RingMembers({
      memberlist,
      keys: undefined,
      metadata: memberlist.metadata,
      gossip: state.members.gossip,
      cluster,
      namespace: "n",
      labels: "l",
      node: nameOf(node),
      log: silentLog,
      clock,
      random: this.#random,
      emit: runner.dispatch,
    });
    const life: Life = {
      members: ring,
      state,
      runner,
      memberlist,
      wire,
      routed,
      cluster,
      seen: new Map(),
      slices: new Map(),
    };
    this.#lives.set(node, life);
    if (this.#isRecording) {
      const lines: string[] = [];
      runner.onStep = ({ event, now }, effects) =>
        lines.push(entryLine(recordStep(speakerCore, { event, now }, effects, String)));
      this.recordings.push({ node: nameOf(node), lines });
    }
    runner.start(state, (effect) => this.#carryOut(node, life, effect, run));
    runner.dispatch({ type: "interfaces", interfaces: this.#interfaces.get(node) ?? [ethernet("eth0", [])] });
    runner.dispatch({ type: "config", ...this.#config });
    for (const name of this.#services.keys()) for (const kind of ["service", "slice"] as const) this.#see(life, kind, name);
    runner.dispatch({ type: "clusterSynced" });
    cluster.of(resources.pods).synced = true;
    const pods = new Set([...known, ...this.#ready.keys()]);
    cluster.of(resources.pods).see(...[...pods].map((node) => this.#podOf(node)));
  }

  #podOf(node: number): Pod {
    const ready = this.#ready.get(node) ?? true;
    return pod(`n/${nameOf(node)}`, { nodeName: nameOf(node), podIPs: [addressOf(node)], ready });
  }

  /** Shows a speaker the Service and its slice, each at its time, unless it has seen a later version by then. */
  #deliver(node: number, name: string, version: number): void {
    const life = this.#life(node);
    for (const kind of ["service", "slice"] as const) {
      const at = this.simulation.now + this.#random() * (this.#options.apiLag ?? 0);
      this.apiSettledAt = Math.max(this.apiSettledAt, at);
      this.#at(node, life, at, () => {
        if (!this.#withoutApi.has(node) && (life.seen.get(`${kind} ${name}`) ?? -1) < version) this.#see(life, kind, name);
      });
    }
  }

  /** Shows a speaker what the API has now. */
  #see({ runner, seen, slices }: Life, kind: "service" | "slice", name: string): void {
    const known = this.#services.get(name);
    if (known === undefined) return;
    const { ingress, localTo } = known.service;
    const key = `default/${name}`;
    seen.set(`${kind} ${name}`, known.version);
    if (kind === "service") {
      const externalTrafficPolicy = localTo === undefined ? "Cluster" : "Local";
      runner.dispatch({ type: "service", key, service: service(key, { ingress, externalTrafficPolicy }) });
      return;
    }
    const nodes = localTo?.map(nameOf) ?? ["any"];
    const now = endpointSlice(key, Object.fromEntries(nodes.map((node) => [node, true])));
    runner.dispatch({ type: "slice", key: now.key, now, before: slices.get(name) });
    slices.set(name, now);
  }

  #carryOut(
    node: number,
    { members, state, runner, wire, routed }: Life,
    effect: SpeakerEffect,
    run: (at: Millis, fn: () => void) => void,
  ): void {
    switch (effect.type) {
      case "announce":
        this.#move(node, wire, effect.address.toString(), true);
        break;
      case "withdraw":
        this.#move(node, wire, effect.address.toString(), false);
        break;
      case "setRoutes":
        if (effect.routes.length > 0) routed.add(effect.address.toString());
        else routed.delete(effect.address.toString());
        break;
      case "setGossip":
        for (const address of this.owners().keys())
          if (!wire.has(address) && state.members.gossip?.owners(address).includes(nameOf(node)))
            assert.fail(`${nameOf(node)} reports that it owns ${address}, and does not answer for it`);
        members.setGossip(effect.entries);
        break;
      case "forgetGossip":
        members.forgetGossip(effect.node);
        break;
      case "pullGossip":
        members.pullGossip(effect.node);
        break;
      case "startMembers":
        members.start();
        break;
      case "startConfig":
        runner.dispatch({ type: "start" });
        break;
      case "wake":
        run(this.simulation.now + this.#random() * (this.#options.maxTurn ?? 1), () => runner.dispatch({ type: "continue" }));
        break;
      default: // Logs are not looked at.
    }
  }

  #move(node: number, wire: Set<string>, address: string, on: boolean): void {
    if (wire.has(address) === on) return;
    if (on) wire.add(address);
    else wire.delete(address);
    this.moves.push({ at: this.simulation.now, node, address, on });
  }

  /** Runs `fn` in the process, when that does not stand still, unless it has ended by then. */
  #at(node: number, life: Life, at: Millis, fn: () => void): void {
    const until = this.#stalledUntil.get(node) ?? 0;
    this.simulation.schedule(Math.max(at, until, this.simulation.now), () => {
      if (this.#lives.get(node) !== life) return;
      if (this.simulation.now < (this.#stalledUntil.get(node) ?? 0)) this.#at(node, life, at, fn);
      else fn();
    });
  }

  #onEffect(node: number, effect: Effect): void {
    this.#lives.get(node)?.memberlist.onEffect(effect);
  }
}

/** An Ethernet interface with a carrier. */
export function ethernet(name: string, addresses: readonly string[], running = true): InterfaceState {
  return { index: 2, name, mac: "02:00:00:00:00:01", status: "answering", running, addresses };
}
