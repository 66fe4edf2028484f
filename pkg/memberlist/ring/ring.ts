import type { Millis, Random } from "#pkg/clock";
import { RecentMap } from "#pkg/collections";
import { equalBytes } from "#pkg/net";
import type { Heartbeat } from "../codec/heartbeat.ts";
import type { Alive, Endpoint, NodeName, Ping, Versions } from "../codec/messages.ts";
import type { MetadataFields } from "../codec/metadata.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import type { Effect } from "./events.ts";
import { FailedMembers } from "./failed-members.ts";
import { type NodeRecord, newRecord, ownMetadata } from "./node-record.ts";
import { noOverload } from "./overload.ts";
import { noPaths } from "./path-state.ts";
import { Places } from "./places.ts";
import type { Suspicion } from "./suspicion.ts";
import { type Timing, type TimingName, timings } from "./timing.ts";

export interface RingOptions {
  readonly node: NodeName;
  /** Where others reach this node. Its port also stands for every port 0 that others claim. */
  readonly endpoint: Endpoint;
  /** The metadata of this node beside what the ring adds. */
  readonly metadata: MetadataFields;
  /**
   * `auto`: fast as long as all members offer it, which they do while they reach one another quickly and seldom stall. `lan` does
   * not offer it, which keeps those on `auto` at `lan` too. `fast` is for rings where all are known to keep up.
   */
  readonly timing: TimingName | "auto";
  /** User state that goes to others with this node's view; nothing when unset. */
  readonly userState?: (() => Uint8Array) | undefined;
  /** 32 bits of a digest of that, the same on two nodes that know the same of all members; 0 when unset. */
  readonly userDigest?: (() => number) | undefined;
  /** Greater than the incarnation of any earlier life of this node, so that messages about an earlier life no longer count. */
  readonly firstIncarnation: number;
  readonly random: Random;
}

/** A node being probed. */
export interface Probe {
  readonly sequence: number;
  readonly node: NodeName;
  /** Its incarnation when the probe began: the accusation is against the process that did not answer. */
  readonly incarnation: number;
  readonly sentAt: Millis;
  /** How long the indirect probes may take. */
  readonly indirectTimeout: Millis;
  /** When indirect probes are sent; Infinity once they are. */
  indirectAt: Millis;
  verdictAt: Millis;
  nacksExpected: number;
  nacks: number;
  answeredOnStream: boolean;
}

/** A node being pinged for another. */
export interface Relay {
  readonly node: NodeName;
  readonly to: Endpoint;
  readonly sequence: number; // The other's.
  readonly nack: boolean;
  readonly deadline: Millis;
}

/** One that is said to be alive, and is pinged before it counts. */
export interface Newcomer {
  readonly alive: Alive;
  readonly endpoint: Endpoint;
  /** Number of all pings to it. */
  readonly sequence: number;
  asked: number;
  /** When it is pinged next. */
  askAt: Millis;
}

export interface Join {
  readonly waiting: Endpoint[];
  /** After so long without an answer another one is asked besides... */
  readonly patience: Millis;
  /** ...which is then. */
  moreAt: Millis;
  underway: number;
  joined: number;
  readonly failures: { readonly endpoint: Endpoint; readonly reason: string }[];
}

export type ExchangePurpose =
  | { readonly type: "ping"; readonly sequence: number }
  | { readonly type: "pushPull"; readonly to: Endpoint }
  | { readonly type: "join"; readonly join: number; readonly to: Endpoint };

/** How often things happened since the start. */
export type RingCounters = ReturnType<typeof newRingCounters>;

interface Heartbeats {
  /** How many this node has sent. */
  sent: number;
  /** Between the digest that a member told and its own, and how often it was seen in a row. */
  difference: { readonly node: NodeName; readonly theirs: number; readonly ours: number; times: number } | undefined;
  /** The member whose neighbor this node is, the last heartbeat from there, and the time when the next one is overdue. */
  awaited: { readonly node: NodeName; readonly latest: Heartbeat | undefined; readonly dueAt: Millis } | undefined;
}

/** More than any cluster loses in the life of a process; who has the key could else fill the memory with names. */
const maxForgotten = 4096;
/** More than come at once. */
const maxNewcomers = 1024;
/** Speaks protocol 2 and understands 1 to 5; without delegates. */
const ownVersions: Versions = [1, 5, 2, 0, 0, 0];
const healthLimit = 7;
export const maxU32 = 0xffff_ffff;

/**
 * The whole state of one node's view of its ring, which `step` changes in place: a copy for each event would cost a thousand
 * records in a ring of a thousand. All instants in it are deadlines or starts; nothing in it runs by itself.
 */
export class Ring {
  readonly options: RingOptions;
  readonly self: NodeRecord;
  readonly records: Map<NodeName, NodeRecord>;
  /** The same records, in the order in which they are probed. */
  readonly order: NodeRecord[];
  readonly places = new Places();
  readonly suspicions = new Map<NodeName, Suspicion>();
  /** Suspects of others that this node is about to probe itself. */
  readonly toCheck = new Set<NodeName>();
  readonly failed = new FailedMembers();
  /**
   * Nodes that were gone for so long that the ring dropped their records, and their incarnations: messages up to these incarnations are
   * old.
   */
  readonly forgotten = new RecentMap<NodeName, number>(maxForgotten);
  readonly newcomers = new RecentMap<NodeName, Newcomer>(maxNewcomers);
  readonly broadcasts = new BroadcastQueue();
  /** Unanswered probes. */
  readonly probes = new Map<number, Probe>(); // our sequence number -> probe
  readonly relays = new Map<number, Relay>(); // our sequence number -> who waits for the ack
  /** Nodes that did not answer this one when it pinged them for others: it confirms a suspicion without a probe of its own. */
  readonly unanswered = new Map<NodeName, Millis>(); // node -> when
  readonly exchanges = new Map<number, ExchangePurpose>();
  readonly joins = new Map<number, Join>();
  readonly counters = newRingCounters();
  /** The metadata of this node now, beside what the ring adds. */
  metadata: MetadataFields;
  timing: Timing;
  /** Members or their metadata changed, so that the timing has to be chosen again. */
  timingStale = false;
  sequence: number;
  exchange = 0;
  /** Health score of this node itself, 0 (well) to 7. */
  localHealth = 0;
  /** Where in the order the next probe looks first. */
  probeIndex = 0;
  probeAt: Millis = Infinity;
  readonly heartbeats: Heartbeats = { sent: 0, difference: undefined, awaited: undefined };
  /** Intervals until the next node in the order is probed, beside or instead of the neighbor. */
  othersIn = 2;
  /** Infinity while there is nothing to gossip. */
  gossipAt: Millis = Infinity;
  pushPullAt: Millis = Infinity;
  /** Members that told the digest of this node's view since the last periodic push/pull was due, or since a member joined. */
  readonly agreeing = new Set<NodeName>();
  /** When the next failed member is pinged, in case it is back; Infinity while no member failed. */
  reconnectAt: Millis = Infinity;
  /** When anything was received from another member last. */
  lastContactAt: Millis;
  /** Until when nothing was received for longer than is likely while others live: what this node declared before then is in doubt. */
  cutOffUntil: Millis = -Infinity;
  /** After a stall: nothing is judged before this instant, so that the packets that wait are read first. */
  resumeAt: Millis | undefined;
  /** The last time that this process ran late: when it ran, and by how much. */
  stall: { readonly at: Millis; readonly late: Millis } | undefined;
  readonly paths = noPaths();
  /** Overload of this process. */
  overload = noOverload;
  leave: "none" | "announcing" | "announced" = "none";
  effects: Effect[] = [];

  constructor(options: RingOptions, now: Millis) {
    const { node, endpoint, metadata, timing } = options;
    this.options = options;
    this.self = newRecord(node, endpoint, ownVersions, ownMetadata(metadata, timing !== "lan"), now);
    this.records = new Map([[node, this.self]]);
    this.order = [this.self];
    this.metadata = metadata;
    this.timing = timings[timing === "auto" ? "fast" : timing]; // Alone, so all members are as this one.
    this.sequence = firstSequence(options);
    this.lastContactAt = now;
  }
}

/** Far from those of lives of this node before: what was answered then, and captured, is no answer now. */
function firstSequence({ firstIncarnation }: RingOptions): number {
  return Math.imul(firstIncarnation, 0x9e37_79b1) >>> 0; // The golden ratio spreads what begins within seconds, or years.
}

export function newRingCounters() {
  return {
    probes: 0,
    failedProbes: 0,
    /** Suspicions of others that began here. */
    suspicions: 0,
    /** Suspicions of others that began here and were refuted. */
    refuted: 0,
    /** Times that this node had to refute what others held against it. */
    refutations: 0,
    /** Members that failed. */
    failures: 0,
    /** Members that this node declared failed by their paths, before another did. */
    pathFailures: 0,
    /** Members among them that lived. */
    falsePathFailures: 0,
    conflicts: 0,
    /** Push/pulls merged, begun by either side. */
    pushPulls: 0,
    /** Push/pulls refused for the versions of some node. */
    pushPullsRefused: 0,
    /** Times that this process ran so late that it gave waiting packets precedence. */
    stalls: 0,
  };
}

/** To be called when anything has changed about a record that others than its node have to do with. */
export function noteChange(ring: Ring, record: NodeRecord): void {
  ring.places.update(record);
  ring.timingStale = true;
}

/** Never 0, which is that of heartbeats. */
export function nextSequence(ring: Ring): number {
  ring.sequence = (ring.sequence + 1) >>> 0 || 1;
  return ring.sequence;
}

export function changeLocalHealth(ring: Ring, delta: number): void {
  ring.localHealth = Math.min(healthLimit, Math.max(0, ring.localHealth + delta));
}

/** A ping of ours, sent for ourselves or for another. */
export function ownPing(ring: Ring, sequence: number, node: NodeName): Ping {
  return { type: "ping", sequence, node, source: sourceOf(ring) };
}

/** Where acks shall go, as v0.6.0 carries it; a node that takes us for dead also learns from it who the sender is. */
export function sourceOf({ self }: Ring): NonNullable<Ping["source"]> {
  return { ...self.endpoint, node: self.node };
}

/** Some peers leave the port out when it is the same as ours. */
export function withPort(ring: Ring, endpoint: Endpoint): Endpoint {
  return endpoint.port === 0 ? { ...endpoint, port: ring.options.endpoint.port } : endpoint;
}

/** Byte by byte, as peers do: 192.0.2.1 in 4 and in 16 bytes are two addresses. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && equalBytes(a.address, b.address);
}
