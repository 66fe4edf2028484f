import { backOff, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import type { GossipState, OwnEntry } from "#pkg/gossip";
import { type Cluster, type Informer, type Pod, resources } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import {
  decodeMetadata,
  type EvidenceView,
  type JoinResult,
  lifeOf,
  type MemberEvent,
  type MemberlistThread,
  type MemberView,
  type MetadataFields,
  MetadataKey,
} from "#pkg/memberlist";
import { equalBytes, isLinkLocal, parseAddress } from "#pkg/net";
import { list } from "#pkg/text";
import type { MemberEvents } from "../core/index.ts";
import { isLongAlone, notAlone, noteAlone } from "./alone.ts";
import { decodeMacs, macsOf } from "./macs.ts";
import type { Members, MembersDescription } from "./members.ts";
import type { RingKeys } from "./ring-keys.ts";

export interface RingMembersOptions {
  readonly memberlist: Pick<
    MemberlistThread,
    | "start"
    | "join"
    | "leave"
    | "members"
    | "timing"
    | "roundTrips"
    | "onEvent"
    | "setEntries"
    | "forget"
    | "pull"
    | "running"
    | "problem"
    | "lossy"
    | "setMetadata"
    | "address"
    | "move"
    | typeof Symbol.asyncDispose
  >;
  /** Metadata with which the member was made. */
  readonly metadata: MetadataFields;
  /** The core's state of the gossip that was emitted: see `SpeakerState`. */
  readonly gossip: Pick<GossipState, "isParticipating" | "view"> | undefined;
  /** Undefined where the key stays what it was at the start. */
  readonly keys: Pick<RingKeys, "start" | typeof Symbol.dispose> | undefined;
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /** Selects the speakers' Pods, whose addresses are joined. */
  readonly labels: string;
  /** This node, whose own Pod is not joined. */
  readonly node: string;
  readonly emit: (event: MemberEvents) => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

type JoinFailure = JoinResult["failures"][number];

const rejoinEveryMs: Millis = 60_000;
// Several Pods come and go at once: joining is begun when the last of them has been seen.
const settleMs: Millis = 200;
// Between meeting a member and counting on its view, which may still be on its way.
const metMs: Millis = 500;
// While no speaker of the cluster's ring has been joined although some are Ready.
const firstJoinRetryMs: Millis = 1_000;
const maxJoinRetryMs: Millis = 10_000;
const firstBindRetryMs: Millis = 500;
const maxBindRetryMs: Millis = 10_000;
const leaveMs: Millis = 1_000;
// Addresses are taken away and given back when a lease is renewed or a network is set up again.
const moveMs: Millis = 500;
// An address that has been on the interface for longer than that when the ring's address goes does not replace it, but may be an address
// that wanders between nodes. It is taken only when there is no other address for as long.
const youngMs: Millis = 10_000;
// By then the ring has been restarted.
const rejoinMs: Millis = 500;
// From when all know until the last of ten thousand addresses is announced by others. Until then this node has to answer for them.
const handOverMs: Millis = 1_000;

/**
 * Members by the speakers' own ring: who is alive is known in well under a second, without the API. The API only has the addresses of
 * speakers that are no members yet: they are joined when their Pods appear, and every minute.
 */
export class RingMembers implements Members {
  readonly #options: RingMembersOptions;
  readonly #pods: Informer<Pod>;
  #macs: Uint8Array;
  #publishedMacs: Uint8Array;
  #interfaces: readonly InterfaceState[] = [];
  #home: string | undefined; // The interface that has, or had, the ring's address.
  #atHome: ReadonlyMap<string, Millis> = new Map(); // address with its length, on that interface -> since when
  #moving: Disposable | undefined;
  readonly #unreachable = new Map<string, string>(); // address that could not be joined the last time -> why
  #bound = false;
  #synced = false;
  #met: Disposable | undefined; // The end of `metMs`.
  #attempts = 0; // To join, so far.
  #problem: string | undefined;
  #alone = notAlone;
  #stopped = false;
  #joining = false;
  #nextJoin: { readonly at: Millis; readonly timer: Disposable } | undefined;
  #active: readonly string[] = [];
  #withoutGossip: readonly string[] = [];

  constructor(options: RingMembersOptions) {
    this.#options = options;
    const { metadata, cluster, namespace, labels } = options;
    this.#macs = metadata.get(MetadataKey.macs) ?? new Uint8Array();
    this.#publishedMacs = this.#macs;
    const soon = () => {
      this.#joinAt(options.clock.now() + settleMs);
      this.#consider();
    };
    this.#pods = cluster.informer(resources.pods, { namespace, labelSelector: labels }, { changed: soon, synced: soon });
  }

  start(): void {
    this.#options.keys?.start();
    this.#pods.start();
    void this.#bind();
  }

  /** True once this node is in the ring of those that announce, or has found none. Before, it would take itself for the only one. */
  get synced(): boolean {
    return this.#synced;
  }

  get problem(): string | undefined {
    const { memberlist, clock } = this.#options;
    if (memberlist.problem !== undefined || !this.#synced) return memberlist.problem ?? this.#problem;
    if (!isLongAlone(this.#alone, clock.now())) return undefined;
    const who = this.#awaited().size > 0 ? "while others are Ready" : "and so are the others, none of which is Ready";
    return this.#whyWaiting(this.#awaited()) ?? `it is alone in its ring, ${who}`;
  }

  get lossy(): readonly string[] {
    return this.#options.memberlist.lossy;
  }

  setInterfaces(interfaces: readonly InterfaceState[]): void {
    this.#macs = macsOf(interfaces);
    this.#publishMacs();
    this.#interfaces = interfaces;
    this.#followAddress();
  }

  setGossip(entries: readonly OwnEntry[]): void {
    this.#options.memberlist.setEntries(entries);
  }

  forgetGossip(node: string): void {
    this.#options.memberlist.forget(node);
  }

  pullGossip(node: string): void {
    this.#options.memberlist.pull(node);
  }

  async describe(): Promise<MembersDescription> {
    const { memberlist } = this.#options;
    if (!this.#bound) return { source: "memberlist", members: [] };
    const roundTrips = await memberlist.roundTrips();
    const members = memberlist.members().map(({ name, address, status }) => {
      const time = roundTrips.get(name);
      const measured = time === undefined ? {} : { roundTripMs: Math.round(time * 100) / 100 };
      return { node: name, addresses: [address], status, active: true, ...measured };
    });
    return { source: "memberlist", timing: memberlist.timing, members: members.sort((a, b) => (a.node < b.node ? -1 : 1)) };
  }

  /** Leaves, so that the others take over at once, and waits until they have. Members that were active stay so for this node. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { memberlist, log, clock } = this.#options;
    this.#stopped = true;
    this.#options.keys?.[Symbol.dispose]();
    this.#pods[Symbol.dispose]();
    this.#nextJoin?.timer[Symbol.dispose]();
    this.#moving?.[Symbol.dispose]();
    this.#met?.[Symbol.dispose]();
    if (this.#bound && !(await memberlist.leave(leaveMs)))
      log.info("left before all members were notified", { op: "memberlist" });
    if (this.#active.length > 1) await sleep(clock, "hand over", handOverMs);
    await memberlist[Symbol.asyncDispose]();
  }

  async #bind(): Promise<void> {
    const { memberlist, log, clock, random } = this.#options;
    for (let attempt = 0; !this.#stopped; attempt++) {
      const { problem } = memberlist;
      try {
        await memberlist.start();
        break;
      } catch (error) {
        if (memberlist.problem !== problem)
          log.error("cannot open the port of the speakers' ring, retrying", { op: "memberlist", error });
        await sleep(clock, "memberlist bind", backOff(attempt, firstBindRetryMs, maxBindRetryMs, random));
      }
    }
    if (this.#stopped) return;
    this.#bound = true;
    memberlist.onEvent((event) => {
      if (this.#stopped) return;
      if (event.type === "member") this.#memberChanged(event.change, event.member, event.evidence);
      else if (event.type !== "timing") this.#options.emit(event);
      if (event.type === "member" || this.#met === undefined) this.#consider(); // Gossip alone takes nobody out of the ring.
    });
    for (const member of memberlist.members()) this.#memberChanged("joined", member);
    this.#joinAt(clock.now());
  }

  #memberChanged(change: MemberEvent["change"], member: MemberView, evidence?: EvidenceView): void {
    const { name, self, incarnation, meta } = member;
    if (self) this.#publishMacs();
    const bytes = decodeMetadata(meta)?.get(MetadataKey.macs);
    const macs = bytes && decodeMacs(bytes);
    this.#options.emit({ type: "member", change, node: name, incarnation, life: lifeOf(meta), macs, evidence });
    this.#update();
  }

  /** Where this node has the ring's address no more, the ring gets the one that is there in its place. */
  #followAddress(): void {
    const { memberlist, clock } = this.#options;
    const home = this.#interfaces.find((one) => hasAddress(one, memberlist.address));
    this.#home = home?.name ?? this.#home;
    const there = home ?? this.#interfaces.find(({ name }) => name === this.#home);
    this.#atHome = new Map(there?.addresses.map((one) => [one, this.#atHome.get(one) ?? clock.now()]));
    if (home !== undefined) {
      this.#moving?.[Symbol.dispose]();
      this.#moving = undefined;
    } else if (this.#home !== undefined) this.#moving ??= this.#moveAt(clock.now());
  }

  /** Looks again until there is an address. */
  #moveAt(lostAt: Millis): Disposable {
    const { clock } = this.#options;
    return clock.schedule("memberlist move", clock.now() + moveMs, () => {
      this.#moving = this.#stopped || this.#hasMoved(lostAt) ? undefined : this.#moveAt(lostAt);
    });
  }

  #hasMoved(lostAt: Millis): boolean {
    const { memberlist, clock, log } = this.#options;
    const before = memberlist.address;
    const there = [...this.#atHome];
    const young = there.filter(([, since]) => lostAt - since < youngMs);
    const isLong = clock.now() - lostAt >= youngMs;
    const address = successorOf(before, young) ?? (isLong ? successorOf(before, there) : undefined);
    if (address === undefined) return false;
    log.warn("this node's address has changed, and so does its address in the speakers' ring", {
      op: "memberlist",
      before,
      address,
    });
    memberlist.move(address);
    this.#attempts = 0;
    this.#joinAt(clock.now() + rejoinMs); // It may have taken all others for gone before.
    return true;
  }

  /** At once, or when this node is on the network. */
  #publishMacs(): void {
    const { memberlist, metadata } = this.#options;
    if (equalBytes(this.#macs, this.#publishedMacs) || !memberlist.running) return;
    this.#publishedMacs = this.#macs;
    memberlist.setMetadata(new Map([...metadata, [MetadataKey.macs, this.#macs]]));
  }

  /** Joins at `at`, unless that is to happen sooner already. */
  #joinAt(at: Millis): void {
    if (this.#stopped || (this.#nextJoin !== undefined && this.#nextJoin.at <= at)) return;
    this.#nextJoin?.timer[Symbol.dispose]();
    const timer = this.#options.clock.schedule("memberlist join", at, () => {
      this.#nextJoin = undefined;
      void this.#join();
    });
    this.#nextJoin = { at, timer };
  }

  async #join(): Promise<void> {
    const { memberlist, clock, random } = this.#options;
    if (this.#joining || !this.#bound || !this.#pods.synced || this.#stopped) return;
    this.#joining = true;
    const wanted = this.#unjoined();
    const { failures } = wanted.size > 0 ? await memberlist.join([...wanted.keys()].sort()) : { failures: [] };
    this.#joining = false;
    if (this.#stopped) return;
    this.#logFailures(wanted, failures);
    const awaited = this.#awaited();
    // Where some have failed, those that were met may be about to.
    if (awaited.size === 0 && (failures.length === 0 || this.#active.length < 2)) this.#sync();
    if (!this.#synced) this.#problem = this.#whyWaiting(awaited);
    this.#consider();
    const isDone = this.#synced && awaited.size === 0;
    const retryMs = isDone ? rejoinEveryMs : backOff(this.#attempts++, firstJoinRetryMs, maxJoinRetryMs, random);
    this.#joinAt(clock.now() + retryMs);
  }

  /**
   * The Pods, by their addresses, whose speakers announce as far as the API knows, while this node, which has just started, or moved, is not in
   * the ring of those that do: what it announced would have two owners. None once it is in that ring. A member that does not participate waits
   * too, although its Pod may still be Ready from before it started.
   */
  #awaited(): ReadonlyMap<string, Pod> {
    if (this.#isInRing) return new Map();
    const waiting = new Set(this.#heard.map(({ name }) => name));
    const pods = [...this.#others()].filter(([, { ready, nodeName = "" }]) => ready && !waiting.has(nodeName));
    return new Map(pods);
  }

  /** Whether another member announces: it participates, or is of another kind, which never waits. */
  get #isInRing(): boolean {
    const { gossip } = this.#options;
    return this.#heard.some(({ name }) => this.#withoutGossip.includes(name) || gossip?.isParticipating(name));
  }

  /** The other members, without those that are suspected. */
  get #heard(): readonly MemberView[] {
    return this.#options.memberlist.members().filter(({ self, status }) => !self && status === "alive");
  }

  /** Joins soon where this node has just lost all others, though they are Ready. */
  #noteAlone(): void {
    const now = this.#options.clock.now();
    const before = this.#alone;
    const seen = { areOthersReady: this.#awaited().size > 0, isInRing: this.#isInRing, turn: this.#turn };
    this.#alone = this.#bound && this.#pods.synced ? noteAlone(before, seen, now) : notAlone;
    if (before.since !== undefined || this.#alone.since === undefined) return;
    this.#attempts = 0;
    this.#joinAt(now + firstJoinRetryMs);
  }

  /** How many speakers come before this one, by the names of their nodes. */
  get #turn(): number {
    return [...this.#others().values()].filter(({ nodeName = "" }) => nodeName < this.#options.node).length;
  }

  /** The remedy; undefined until they have been tried. */
  #whyWaiting(awaited: ReadonlyMap<string, Pod>): string | undefined {
    const which = [...awaited].flatMap(([address, { nodeName }]) => {
      const reason = this.#unreachable.get(address);
      return reason === undefined ? [] : [`${nodeName} at ${address}: ${reason}`];
    });
    if (which.length === 0) return undefined;
    const port = this.#options.memberlist.members().find(({ self }) => self)?.port;
    return `none of those that are Ready can be joined (${list(which)}); TCP and UDP port ${port} must be open between all nodes`;
  }

  /**
   * A member that was met sends its view of all others; there is no need to wait until the unreachable ones have been tried, unless it is they
   * that announce. It has to stay for a moment.
   */
  #consider(): void {
    const { clock } = this.#options;
    if (this.#synced) this.#noteAlone();
    if (this.#synced || this.#stopped) return;
    const mayCount = this.#pods.synced ? this.#awaited().size === 0 : this.#isInRing;
    if (mayCount && this.#active.length > 1)
      this.#met ??= clock.schedule("memberlist met", clock.now() + metMs, () => this.#sync());
    else {
      this.#met?.[Symbol.dispose]();
      this.#met = undefined;
    }
  }

  #sync(): void {
    if (this.#synced || this.#stopped) return;
    this.#synced = true;
    this.#problem = undefined;
    this.#changed();
  }

  /** Speakers that are no members. */
  #unjoined(): ReadonlyMap<string, Pod> {
    const known = new Set(this.#options.memberlist.members().map(({ address }) => address));
    return new Map([...this.#others()].filter(([address]) => !known.has(address)));
  }

  /** The Pods of other nodes by their addresses: the node's, or the one of the Pod that members of MetalLB are bound to. */
  #others(): ReadonlyMap<string, Pod> {
    const pods = new Map<string, Pod>();
    for (const pod of this.#pods.values()) {
      const address = pod.hostIP ?? pod.podIPs[0];
      if (address !== undefined && pod.nodeName !== this.#options.node) pods.set(address, pod);
    }
    return pods;
  }

  /** One line when an address cannot be joined, not one every minute. A Pod that is starting or being replaced is no reason to warn. */
  #logFailures(wanted: ReadonlyMap<string, Pod>, failures: readonly JoinFailure[]): void {
    const { log } = this.#options;
    for (const { address, reason } of failures) {
      if (this.#unreachable.has(address)) continue;
      const { nodeName: node, ready = false } = wanted.get(address) ?? {};
      const fields = { op: "memberlist", address, node, reason };
      if (ready) log.warn("cannot join a speaker", fields);
      else log.info("cannot join a speaker whose Pod is not Ready", fields);
    }
    for (const address of wanted.keys()) this.#unreachable.delete(address);
    for (const { address, reason } of failures) this.#unreachable.set(address, reason);
  }

  #changed(): void {
    this.#options.emit({ type: "members", active: this.#active, withoutGossip: this.#withoutGossip, isSynced: this.#synced });
  }

  #update(): void {
    if (this.#stopped) return;
    const members = this.#options.memberlist.members();
    const active = names(members);
    const withoutGossip = names(members.filter((member) => !member.self && lifeOf(member.meta) === undefined));
    if (active.join() === this.#active.join() && withoutGossip.join() === this.#withoutGossip.join()) return;
    this.#active = active;
    this.#withoutGossip = withoutGossip;
    this.#changed();
  }
}

function names(members: readonly MemberView[]): string[] {
  return members.map(({ name }) => name).sort();
}

function hasAddress({ addresses }: InterfaceState, address: string): boolean {
  return addresses.some((one) => one.slice(0, one.indexOf("/")) === address);
}

/** The first address on an interface that can take the place of another: of its family, and in a subnet with other hosts. */
function successorOf(address: string, there: readonly (readonly [string, Millis])[]): string | undefined {
  const family = parseAddress(address)?.family;
  for (const [text] of there) {
    const [one = "", length] = text.split("/");
    const parsed = parseAddress(one);
    if (parsed !== undefined && parsed.family === family && Number(length) < parsed.bits && !isLinkLocal(parsed)) return one;
  }
  return undefined;
}
