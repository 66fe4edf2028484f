import { Alarm, backOff, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import type { GossipState, OwnEntry } from "#pkg/gossip";
import type { Pod } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import {
  decodeMetadata,
  type EvidenceView,
  lifeOf,
  type MemberEvent,
  type MemberlistThread,
  type MemberView,
  type MetadataFields,
  MetadataKey,
} from "#pkg/memberlist";
import { equalBytes } from "#pkg/net";
import type { MemberEvents } from "../core/index.ts";
import { isLongAlone, notAlone, noteAlone } from "./alone.ts";
import { decodeMacs, macsOf } from "./macs.ts";
import type { Members, MembersDescription } from "./members.ts";
import { RingAddress } from "./ring-address.ts";
import type { RingKeys } from "./ring-keys.ts";
import { SpeakerPods, type SpeakerPodsOptions } from "./speaker-pods.ts";

export interface RingMembersOptions extends Omit<SpeakerPodsOptions, "memberlist"> {
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
  readonly emit: (event: MemberEvents) => void;
  readonly clock: Clock;
  readonly random: Random;
}

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
  readonly #pods: SpeakerPods;
  #macs: Uint8Array;
  #publishedMacs: Uint8Array;
  readonly #address: RingAddress;
  #bound = false;
  #synced = false;
  #met: Disposable | undefined; // The end of `metMs`.
  #attempts = 0; // To join, so far.
  #problem: string | undefined;
  #alone = notAlone;
  #stopped = false;
  #joining = false;
  readonly #nextJoin: Alarm;
  #active: readonly string[] = [];
  #withoutGossip: readonly string[] = [];

  constructor(options: RingMembersOptions) {
    this.#options = options;
    this.#nextJoin = new Alarm(options.clock, "memberlist join", () => void this.#join());
    this.#macs = options.metadata.get(MetadataKey.macs) ?? new Uint8Array();
    this.#publishedMacs = this.#macs;
    this.#address = new RingAddress(options, () => {
      this.#attempts = 0;
      this.#joinAt(options.clock.now() + rejoinMs); // It may have taken all others for gone before.
    });
    this.#pods = new SpeakerPods(options, () => {
      this.#joinAt(options.clock.now() + settleMs);
      this.#consider();
    });
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
    return this.#pods.whyNot(this.#awaited()) ?? `it is alone in its ring, ${who}`;
  }

  get lossy(): readonly string[] {
    return this.#options.memberlist.lossy;
  }

  setInterfaces(interfaces: readonly InterfaceState[]): void {
    this.#macs = macsOf(interfaces);
    this.#publishMacs();
    this.#address.follow(interfaces);
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
    this.#nextJoin[Symbol.dispose]();
    this.#address[Symbol.dispose]();
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

  /** At once, or when this node is on the network. */
  #publishMacs(): void {
    const { memberlist, metadata } = this.#options;
    if (equalBytes(this.#macs, this.#publishedMacs) || !memberlist.running) return;
    this.#publishedMacs = this.#macs;
    memberlist.setMetadata(new Map([...metadata, [MetadataKey.macs, this.#macs]]));
  }

  /** Joins at `at`, unless that is to happen sooner already. */
  #joinAt(at: Millis): void {
    if (!this.#stopped) this.#nextJoin.setNoLater(at);
  }

  async #join(): Promise<void> {
    const { memberlist, clock, random } = this.#options;
    if (this.#joining || !this.#bound || !this.#pods.synced || this.#stopped) return;
    this.#joining = true;
    const wanted = this.#pods.unjoined();
    const { failures } = wanted.size > 0 ? await memberlist.join([...wanted.keys()].sort()) : { failures: [] };
    this.#joining = false;
    if (this.#stopped) return;
    this.#pods.wereTried(wanted, failures);
    const awaited = this.#awaited();
    // Where some have failed, those that were met may be about to.
    if (awaited.size === 0 && (failures.length === 0 || this.#active.length < 2)) this.#sync();
    if (!this.#synced) this.#problem = this.#pods.whyNot(awaited);
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
    const pods = [...this.#pods.others()].filter(([, { ready, nodeName = "" }]) => ready && !waiting.has(nodeName));
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
    const seen = { areOthersReady: this.#awaited().size > 0, isInRing: this.#isInRing, turn: this.#pods.turn };
    this.#alone = this.#bound && this.#pods.synced ? noteAlone(before, seen, now) : notAlone;
    if (before.since !== undefined || this.#alone.since === undefined) return;
    this.#attempts = 0;
    this.#joinAt(now + firstJoinRetryMs);
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
