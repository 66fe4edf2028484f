import assert from "node:assert/strict";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import type { Alive, Endpoint, MemberState, NodeName, PacketMessage, PushPull, Versions } from "../codec/messages.ts";
import type { Effect, Event, Send } from "../ring/events.ts";
import type { NodeRecord } from "../ring/node-record.ts";
import type { Probe, Ring, RingOptions } from "../ring/ring.ts";
import { nextDeadline, startRing, step } from "../ring/step.ts";

export const versions: Versions = [1, 5, 2, 0, 0, 0];

/** 192.0.2.`last`, port 7946. */
export function at(last: number, port = 7946): Endpoint {
  return { address: Uint8Array.of(192, 0, 2, last), port };
}

export function alive(node: NodeName, incarnation: number, fields: Partial<Alive> = {}): Alive {
  return { type: "alive", node, incarnation, endpoint: endpointOf(node), meta: undefined, versions, ...fields };
}

export function suspect(node: NodeName, incarnation: number, from: NodeName): PacketMessage {
  return { type: "suspect", node, incarnation, from };
}

export function dead(node: NodeName, incarnation: number, from: NodeName): PacketMessage {
  return { type: "dead", node, incarnation, from };
}

export function state(node: NodeName, incarnation: number, fields: Partial<MemberState> = {}): MemberState {
  return { node, status: "alive", incarnation, endpoint: endpointOf(node), meta: undefined, versions, ...fields };
}

export function pushPull(states: readonly MemberState[], join = false): PushPull {
  return { type: "pushPull", join, states, userState: new Uint8Array() };
}

/** Nodes are named by letters: `a` is at 192.0.2.97. */
export function endpointOf(node: NodeName): Endpoint {
  return at(node.charCodeAt(0));
}

/** One node, `self`, whose peers are played by the test. At HashiCorp's pace, unless said otherwise. */
export class LoneRing {
  readonly ring: Ring;
  now: Millis = 0;
  /** Effects that the node wanted so far and that no test has looked at. */
  effects: Effect[];

  constructor(options: Partial<RingOptions> = {}) {
    const defaults = {
      node: "self",
      endpoint: at(1),
      metadata: new Map(),
      timing: "lan",
      firstIncarnation: 1,
    } as const;
    [this.ring, this.effects] = startRing({ ...defaults, random: seededRandom(1), ...options }, 0);
    this.ring.sequence = 0; // For numbers that can be read.
  }

  /** A node that knows these as alive at incarnation 1, has nothing to gossip, and whose next probe is 1 s ahead. */
  static among(nodes: string, options: Partial<RingOptions> = {}): LoneRing {
    const lone = new LoneRing(options);
    for (const node of nodes) lone.meet(alive(node, 1));
    lone.quieten();
    lone.ring.sequence = 0;
    return lone;
  }

  step(event: Event): void {
    this.effects.push(...step(this.ring, event, this.now));
  }

  packet(message: PacketMessage, from: Endpoint = at(200)): void {
    this.step({ type: "packet", from, messages: [message] });
  }

  /** Hears of a node, which answers the ping that follows. */
  meet(message: Alive): void {
    this.packet(message);
    this.answerAs(message.node);
  }

  /** The node answers the ping that asks whether it is alive. */
  answerAs(node: NodeName): void {
    const newcomer = this.ring.newcomers.get(node);
    if (newcomer !== undefined) this.packet({ type: "ack", sequence: newcomer.sequence, payload: undefined });
  }

  /** Somebody sends a view, and asks for this node's. */
  pushPull(states: readonly MemberState[], stream = 1): void {
    this.step({ type: "request", stream, from: at(200), message: pushPull(states) });
  }

  /** A member sends its view, which it was asked for. */
  pull(states: readonly MemberState[]): void {
    const exchange = this.ring.exchange++;
    this.ring.exchanges.set(exchange, { type: "pushPull", to: at(200) });
    this.step({ type: "exchanged", exchange, message: pushPull(states) });
  }

  /** Runs timers, each at its deadline, until then. */
  advanceTo(now: Millis): void {
    for (let due = nextDeadline(this.ring); due <= now; due = nextDeadline(this.ring)) {
      this.now = Math.max(this.now, due);
      this.step({ type: "timer" });
    }
    this.now = now;
  }

  /** The probe that began last, of those that are not answered. */
  get probe(): Probe | undefined {
    return [...this.ring.probes.values()].at(-1);
  }

  record(node: NodeName): NodeRecord {
    const record = this.ring.records.get(node);
    assert.ok(record, `no record of ${node}`);
    return record;
  }

  /** Status and incarnation as `alive 1`; `unknown` when there is no record. */
  view(node: NodeName): string {
    const record = this.ring.records.get(node);
    return record === undefined ? "unknown" : `${record.status} ${record.incarnation}`;
  }

  /** Takes the effects of one type since the last look; the others are forgotten. */
  take<T extends Effect["type"]>(type: T): Extract<Effect, { type: T }>[] {
    return this.effects.splice(0).filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type);
  }

  /** Changes of members since the last look, as `joined a`. */
  changes(): string[] {
    return this.take("member").map(({ change, member }) => `${change} ${member.node}`);
  }

  /** The packets sent since the last look. */
  sends(): Send[] {
    return this.take("send");
  }

  /** Messages queued for gossip, without the number of transmissions left. */
  queued(): PacketMessage[] {
    return this.ring.broadcasts.take(1e6, Infinity);
  }

  /** Empties the gossip queue and forgets the effects. */
  quieten(): void {
    this.ring.broadcasts.take(1e6, 0);
    this.ring.gossipAt = Infinity;
    this.effects = [];
  }
}
