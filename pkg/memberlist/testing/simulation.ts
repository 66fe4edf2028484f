import type { Millis, Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { type Endpoint, nodeName, type StreamMessage } from "../codec/messages.ts";
import { userText } from "../ring/broadcast-queue.ts";
import type { Effect, Event, MemberEvent } from "../ring/events.ts";
import type { Ring, RingOptions } from "../ring/ring.ts";
import { members, nextDeadline, startRing, step } from "../ring/step.ts";
import { type Carrier, valueCarrier } from "./carrier.ts";
import { EventHeap } from "./event-heap.ts";
import { endpointOf, hostOfEndpoint, indexOf, nameOf } from "./simulated-addresses.ts";

/** The network's effect on packets. Streams are not lost, but do not pass a cut. */
export interface Conditions {
  /** One way. Packets take up to `jitter` longer, each its own, so that they overtake one another. */
  readonly latency: Millis;
  readonly jitter: Millis;
  /** Share of lost packets, between 0 and 1. */
  readonly loss: number;
  readonly duplication: number;
  /** How late timers run at most. */
  readonly lateness: Millis;
}

const calm: Conditions = { latency: 0.1, jitter: 0.2, loss: 0, duplication: 0, lateness: 1 };

export interface SimulationOptions extends Partial<Conditions> {
  readonly seed: number;
  readonly carrier?: Carrier;
  /** Called with each effect of a node, when it has been carried out. */
  readonly onEffect?: (node: number, effect: Effect) => void;
}

/** A change of membership that some node emitted about a node, itself included. */
export interface Observation {
  readonly at: Millis;
  readonly observer: number;
  readonly change: MemberEvent["change"];
  readonly about: number;
  readonly isByPaths: boolean;
}

interface SimulatedNode {
  readonly index: number;
  /** Undefined while it is not running. */
  ring: Ring | undefined;
  /** Counts its starts: what belongs to an earlier life is lost. */
  life: number;
  /** The number in its address, and in the one that its process is bound to: only while both are the same it is on the network. */
  host: number;
  bound: number;
  timerAt: Millis;
  stalled: boolean;
  /** Events that wait in its sockets while it is stalled. */
  readonly inbox: Event[];
}

/** A ring of many nodes on a simulated network in simulated time. One seed always gives the same course of events. */
export class Simulation {
  readonly observations: Observation[] = [];
  conditions: Conditions;
  /** Packets sent so far. */
  packets = 0;
  readonly #carrier: Carrier;
  readonly #onEffect: (node: number, effect: Effect) => void;
  readonly #random: Random;
  readonly #events = new EventHeap();
  readonly #nodes = new Map<number, SimulatedNode>(); // number of the node -> that node
  #running: readonly number[] = [];
  readonly #hosts = new Map<number, SimulatedNode>(); // number in an address -> who has that
  /** Nodes reach those of their own group; group 0 while the network is whole. */
  readonly #groups = new Map<number, number>(); // node -> group
  readonly #lossy = new Set<string>(); // two nodes between which streams alone arrive
  readonly #deaf = new Set<string>(); // two nodes, the second of which receives nothing of the first
  readonly #streams = new Map<number, (message: StreamMessage | undefined) => void>(); // stream -> how to answer it
  #nextId = 0;
  #now: Millis = 0;

  constructor({ seed, carrier = valueCarrier, onEffect = () => {}, ...conditions }: SimulationOptions) {
    this.#random = seededRandom(seed);
    this.#onEffect = onEffect;
    this.#carrier = carrier;
    this.conditions = { ...calm, ...conditions };
  }

  get now(): Millis {
    return this.#now;
  }

  /** Nodes that run, whether or not they are stalled, in the order of their numbers. */
  get running(): readonly number[] {
    return this.#running;
  }

  ring(index: number): Ring {
    const ring = this.#nodes.get(index)?.ring;
    if (ring === undefined) throw new Error(`Cannot look at node ${index}: it is not running`);
    return ring;
  }

  /** Starts a node, for the first time or again, at the address that it has; it knows nobody. */
  start(index: number, options: Partial<RingOptions> = {}): void {
    const node = this.#node(index);
    node.bound = node.host;
    const [ring, effects] = startRing(
      {
        node: nameOf(index),
        endpoint: endpointOf(node.host),
        metadata: new Map(),
        timing: "auto",
        firstIncarnation: 1,
        random: this.#random,
        ...options,
      },
      this.#now,
    );
    this.#setRing(node, ring);
    node.life++;
    this.#carryOut(node, effects);
  }

  /** Starts nodes 0 to `count - 1`, each of which joins node 0, and waits until all know all. */
  startAll(count: number, options: Partial<RingOptions> = {}): void {
    for (let index = 0; index < count; index++) this.start(index, options);
    for (let index = 1; index < count; index++) this.join(index, [0]);
    if (!this.runUntil(() => this.isConverged(), 120_000)) throw new Error(`Cannot form a ring of ${count}: ${this.describe()}`);
  }

  /** The node has another address from now on; what runs there is bound to the one before. No two may have the same. */
  setHost(index: number, host: number): void {
    const node = this.#node(index);
    if (this.#hosts.get(node.host) === node) this.#hosts.delete(node.host);
    node.host = host;
    this.#hosts.set(host, node);
  }

  hostOf(index: number): number {
    return this.#node(index).host;
  }

  /** @param others the numbers in their addresses */
  join(index: number, others: readonly number[]): void {
    this.#deliver(this.#node(index), { type: "join", join: this.#nextId++, endpoints: others.map(endpointOf) });
  }

  /** @param name of the member whose view is exchanged */
  pull(index: number, name: string): void {
    this.#deliver(this.#node(index), { type: "pull", node: nodeName(name) });
  }

  leave(index: number): void {
    this.#deliver(this.#node(index), { type: "leave" });
  }

  setMetadata(index: number, fields: ReadonlyMap<number, Uint8Array>): void {
    this.#deliver(this.#node(index), { type: "metadata", fields });
  }

  broadcast(index: number, topic: string, payload: Uint8Array): void {
    this.#deliver(this.#node(index), { type: "broadcast", topic, text: userText(payload) });
  }

  /** Runs `fn` at `at`, as a process of its own would. */
  schedule(at: Millis, fn: () => void): void {
    this.#events.add(at, fn);
  }

  /** Ends a node without a message, as a power cut does. */
  kill(index: number): void {
    const node = this.#node(index);
    this.#setRing(node, undefined);
    node.life++;
    node.timerAt = Infinity;
    node.stalled = false;
    node.inbox.length = 0;
  }

  /** Stops a process for a while; what arrives waits. When it goes on, its timers run before it reads: the worst case. */
  stall(index: number, duration: Millis): void {
    const node = this.#node(index);
    if (node.stalled || node.ring === undefined) return;
    node.stalled = true;
    const { life } = node;
    this.#events.add(this.#now + duration, () => {
      if (node.life !== life) return;
      node.stalled = false;
      this.#deliver(node, { type: "timer" });
      for (const event of node.inbox.splice(0)) this.#deliver(node, event);
    });
  }

  /** Cuts these nodes off from all others; they still reach one another. */
  cutOff(nodes: readonly number[]): void {
    const group = ++this.#nextId;
    for (const node of nodes) this.#groups.set(node, group);
  }

  /** Packets from the first nodes to the second do not arrive; packets the other way do. */
  cutOneWay(from: readonly number[], to: readonly number[]): void {
    for (const sender of from) for (const receiver of to) this.#deaf.add(`${sender} ${receiver}`);
  }

  /** Between these two packets are lost, and streams are not, as where a firewall passes TCP alone. */
  losePackets(one: number, other: number): void {
    this.#lossy.add(`${one} ${other}`).add(`${other} ${one}`);
  }

  /** Something happens to a node that others have no part in. */
  happen(index: number, event: Event): void {
    this.#deliver(this.#node(index), event);
  }

  /** Whether it runs, and does not stand still. */
  isAwake(index: number): boolean {
    const { ring, stalled } = this.#node(index);
    return ring !== undefined && !stalled;
  }

  /** Whether frames of one node arrive at the other. */
  reaches(from: number, to: number): boolean {
    return this.#reaches(this.#node(from), this.#node(to));
  }

  heal(): void {
    this.#groups.clear();
    this.#deaf.clear();
    this.#lossy.clear();
  }

  /** @param isOver asked after each event: whether it ends with this one */
  runFor(duration: Millis, isOver = () => false): void {
    const end = this.#now + duration;
    while (this.#events.next <= end) {
      this.#now = this.#events.next;
      this.#events.take()();
      if (isOver()) return;
    }
    this.#now = end;
  }

  /** Runs until the condition holds, which is looked at every 10 ms. @returns false when it does not within `limit` */
  runUntil(condition: () => boolean, limit: Millis): boolean {
    const end = this.#now + limit;
    while (!condition()) {
      if (this.#now >= end) return false;
      this.runFor(Math.min(end - this.#now, 10));
    }
    return true;
  }

  /** Whether all running nodes have the same view, and it is the truth: all that run, each with its own incarnation. */
  isConverged(): boolean {
    const selves = new Map(this.running.map((index) => [nameOf(index), this.ring(index).self]));
    return this.running.every((index) => {
      let agreed = 0;
      for (const { node, status, incarnation } of this.ring(index).order) {
        const self = selves.get(node);
        if (status === "alive" && self?.incarnation === incarnation) agreed++;
        else if (status === "alive" || status === "suspect") return false;
      }
      return agreed === selves.size;
    });
  }

  /** The members that each running node sees, for error messages. */
  describe(): string {
    const views = this.running.map((index) => `${nameOf(index)} sees ${members(this.ring(index)).map(({ node }) => node)}`);
    return [`at ${this.#now} ms`, ...views.slice(0, 10)].join("\n");
  }

  #setRing(node: SimulatedNode, ring: Ring | undefined): void {
    node.ring = ring;
    const running = [...this.#nodes.values()].filter((each) => each.ring !== undefined);
    this.#running = running.map(({ index }) => index).sort((a, b) => a - b);
  }

  #node(index: number): SimulatedNode {
    const known = this.#nodes.get(index);
    if (known !== undefined) return known;
    const stopped = { ring: undefined, life: 0, timerAt: Infinity, stalled: false };
    const node: SimulatedNode = { index, host: index, bound: index, inbox: [], ...stopped };
    this.#nodes.set(index, node);
    if (!this.#hosts.has(index)) this.#hosts.set(index, node);
    return node;
  }

  /** The node that has an address. */
  #at(endpoint: Endpoint): SimulatedNode | undefined {
    return this.#hosts.get(hostOfEndpoint(endpoint));
  }

  #deliver(node: SimulatedNode, event: Event): void {
    if (node.ring === undefined) return;
    if (!node.stalled) this.#carryOut(node, step(node.ring, event, this.#now));
    else if (event.type !== "timer") node.inbox.push(event);
  }

  #carryOut(node: SimulatedNode, effects: readonly Effect[]): void {
    for (const effect of effects) {
      this.#carryOutOne(node, effect);
      this.#onEffect(node.index, effect);
    }
    if (node.ring !== undefined) this.#setTimer(node, nextDeadline(node.ring));
  }

  #setTimer(node: SimulatedNode, deadline: Millis): void {
    if (deadline >= node.timerAt) return; // An earlier timer finds nothing due, and sets this one.
    const at = Math.max(this.#now, deadline);
    node.timerAt = at;
    this.#events.add(at + this.#random() * this.conditions.lateness, () => {
      if (node.timerAt !== at) return;
      node.timerAt = Infinity;
      this.#deliver(node, { type: "timer" });
    });
  }

  #carryOutOne(node: SimulatedNode, effect: Effect): void {
    switch (effect.type) {
      case "send":
        this.#send(node, effect);
        break;
      case "exchange":
        this.#exchange(node, effect);
        break;
      case "reply":
        this.#answer(effect.stream, this.#carrier.stream(effect.message));
        break;
      case "close":
        this.#answer(effect.stream, undefined);
        break;
      case "member":
        this.observations.push({
          at: this.#now,
          observer: node.index,
          change: effect.change,
          about: indexOf(effect.member.node),
          isByPaths: effect.evidence?.isByPaths ?? false,
        });
        break;
      default: // Effects that a driver would log or count.
    }
  }

  #send(node: SimulatedNode, send: Effect & { type: "send" }): void {
    this.packets++;
    const to = this.#at(send.to);
    const { latency, jitter, loss, duplication } = this.conditions;
    const copies = this.#random() < duplication ? 2 : 1;
    if (to === undefined || !isBound(node) || !this.#reaches(node, to) || this.#lossy.has(`${node.index} ${to.index}`)) return;
    const messages = this.#carrier.packet(send);
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random() < loss) continue;
      const { life } = to;
      this.#events.add(this.#now + latency + this.#random() * jitter, () => {
        if (to.life === life && isBound(to)) this.#deliver(to, { type: "packet", from: endpointOf(node.bound), messages });
      });
    }
  }

  #exchange(node: SimulatedNode, { exchange, to, message, deadline }: Effect & { type: "exchange" }): void {
    const { life } = node;
    const other = this.#at(to);
    const stream = this.#nextId++;
    const finish = (event: Event) => {
      this.#streams.delete(stream);
      if (node.life === life) this.#deliver(node, event);
    };
    const fail = (reason: string) => finish({ type: "exchangeFailed", exchange, reason });
    this.#streams.set(stream, (reply) => {
      if (other === undefined || !isBound(other) || !isBound(node) || !this.#reaches(other, node)) return;
      this.#events.add(this.#now + this.conditions.latency, () => {
        if (!this.#streams.has(stream)) return;
        if (reply === undefined) fail("closed without an answer");
        else finish({ type: "exchanged", exchange, message: reply });
      });
    });
    this.#events.add(deadline, () => {
      if (this.#streams.has(stream)) fail("no answer in time");
    });
    if (other?.ring === undefined || !isBound(node) || !this.#reaches(node, other)) return;
    const request = this.#carrier.stream(message);
    this.#events.add(this.#now + 3 * this.conditions.latency, () => {
      if (isBound(other)) this.#deliver(other, { type: "request", stream, from: endpointOf(node.bound), message: request });
    });
  }

  #answer(stream: number, message: StreamMessage | undefined): void {
    this.#streams.get(stream)?.(message);
  }

  #reaches(from: SimulatedNode, to: SimulatedNode): boolean {
    return this.#groups.get(from.index) === this.#groups.get(to.index) && !this.#deaf.has(`${from.index} ${to.index}`);
  }
}

function isBound({ host, bound }: SimulatedNode): boolean {
  return host === bound;
}
