import { Alarm, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import { decodeOffer, type GossipEntry, type GossipState, isCentral, mostAddresses, type OwnEntry } from "#pkg/gossip";
import { ApiError, type Cluster, type Informer, type Pod, type PodRow, resources } from "#pkg/k8s";
import type { InterfaceState } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import {
  decodeMetadata,
  type EvidenceView,
  type MemberEvent,
  type MemberlistThread,
  type MemberView,
  type MetadataFields,
  MetadataKey,
} from "#pkg/memberlist";
import { fnv1a } from "#pkg/text";
import type { MemberEvents } from "../core/index.ts";
import { decodeMacs } from "./macs.ts";
import type { Members, MembersDescription } from "./members.ts";
import { OwnMetadata } from "./own-metadata.ts";
import {
  type LargeRing,
  type Moment,
  newRingState,
  type RingEffect,
  type RingEvent,
  type RingState,
  type SpeakerPod,
  type SpeakerPods,
} from "./ring/state.ts";
import { nextDeadline, problemOf, step } from "./ring/step.ts";
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
  readonly cluster: Pick<Cluster, "informer" | "podRows">;
  readonly namespace: string;
  /** Selects the speakers' Pods, whose addresses are joined. */
  readonly labels: string;
  /** This node, whose own Pod is not joined. */
  readonly node: string;
  /** Metadata with which the member was made. */
  readonly metadata: MetadataFields;
  /** The core's state of the gossip that was emitted: see `SpeakerState`. */
  readonly gossip: Pick<GossipState, "isParticipating" | "view"> | undefined;
  /** The port at which others are joined; this member's own where undefined. */
  readonly joinPort?: number | undefined;
  /** Undefined where the key stays what it was at the start. */
  readonly keys: Pick<RingKeys, "start" | typeof Symbol.dispose> | undefined;
  readonly emit: (event: MemberEvents) => void;
  /** `largeRing` unless said otherwise. */
  readonly large?: LargeRing;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

const leaveMs: Millis = 1_000;
// Before this node participates nobody waits for what it decides, and it meets members for as long as it is told of them.
const startFactor = 10;
// Some milliseconds. A member that joins hears of all others at once: of 5,000 that were a turn of 0.1 s.
const maxHeardAtOnce = 200;
// An entry is of up to 256 addresses, or of a page's candidates, and a core takes some microseconds for each.
const maxAddressesAtOnce = 1_000;
// In the turn in which others are members.
const maxHeardBesides = 50;
// From when all know until the last of ten thousand addresses is announced by others. Until then this node has to answer for them.
const handOverMs: Millis = 1_000;

/**
 * Members by the speakers' own ring: who is alive is known in well under a second, without the API. The API only has the addresses of
 * speakers that are no members yet: they are joined when their Pods appear, and every minute. `ring/` decides; this carries out.
 */
export class RingMembers implements Members {
  readonly #options: RingMembersOptions;
  readonly #state: RingState;
  readonly #alarm: Alarm;
  #pods: Informer<Pod> | undefined;
  readonly #gathered: Alarm;
  #toldAt: Millis = -Infinity;
  #areOthersMembers = false;
  #areOthersPods = false;
  #heard: GossipEntry[] = [];
  readonly #heardOf = new Set<string>(); // nodes
  readonly #metadata: OwnMetadata;
  #nodesWithPod: readonly string[] | undefined; // Told last.

  constructor(options: RingMembersOptions) {
    this.#options = options;
    const { node, memberlist, metadata, clock } = options;
    this.#state = newRingState(node, options.large);
    this.#alarm = new Alarm(clock, "memberlist join", () => this.#step({ type: "timer" }));
    this.#gathered = new Alarm(clock, "members gathered", () => this.#tell());
    this.#metadata = new OwnMetadata(memberlist, metadata);
  }

  start(isLarge: boolean): void {
    this.#options.keys?.start();
    this.#step({ type: "start", isLarge });
    this.#podsChanged();
  }

  get synced(): boolean {
    return this.#state.isSynced;
  }

  get problem(): string | undefined {
    return this.#options.memberlist.problem ?? problemOf(this.#state, this.#moment);
  }

  get lossy(): readonly string[] {
    return this.#options.memberlist.lossy;
  }

  setInterfaces(interfaces: readonly InterfaceState[]): void {
    this.#metadata.setInterfaces(isCentral(this.#options.node) ? [] : interfaces);
    this.#step({ type: "interfaces", interfaces, address: this.#options.memberlist.address });
  }

  setGossip(entries: readonly OwnEntry[]): void {
    this.#options.memberlist.setEntries(entries);
  }

  forgetGossip(node: string): void {
    this.#heard = this.#heard.filter((entry) => entry.node !== node);
    this.#heardOf.delete(node);
    this.#options.memberlist.forget(node);
  }

  pullGossip(node: string): void {
    this.#options.memberlist.pull(node);
  }

  started(): void {
    this.#metadata.started();
  }

  async describe(): Promise<MembersDescription> {
    const { memberlist } = this.#options;
    if (!this.#state.isBound) return { source: "memberlist", members: [] };
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
    this.#step({ type: "stop" });
    this.#gathered[Symbol.dispose]();
    this.#options.keys?.[Symbol.dispose]();
    this.#pods?.[Symbol.dispose]();
    const { isBound, active } = this.#state;
    if (isBound && !(await memberlist.leave(leaveMs))) log.info("left before all members were notified", { op: "memberlist" });
    if (active.length > 1) await sleep(clock, "hand over", handOverMs);
    await memberlist[Symbol.asyncDispose]();
  }

  get #moment(): Moment {
    const { clock, random, gossip } = this.#options;
    return { now: clock.now(), random, isParticipating: (node) => gossip?.isParticipating(node) ?? false };
  }

  #step(event: RingEvent): void {
    for (const effect of step(this.#state, event, this.#moment)) this.#carryOut(effect);
    this.#alarm.set(nextDeadline(this.#state));
  }

  #carryOut(effect: RingEffect): void {
    const { memberlist, emit, log } = this.#options;
    switch (effect.type) {
      case "bind":
        void this.#bind();
        return;
      case "join":
        void this.#join(effect.wanted);
        return;
      case "move":
        memberlist.move(effect.address);
        return;
      case "askPods":
        void this.#askPods();
        return;
      case "followPods":
        this.#pods?.[Symbol.dispose]();
        this.#areOthersPods = false;
        if (!effect.areFollowed) return;
        this.#pods = this.#informer();
        this.#pods.start();
        return;
      case "members": {
        const { active, withoutGossip, starting, isSynced } = this.#state;
        emit({ type: "members", active, withoutGossip, starting, isSynced });
        return;
      }
      case "log":
        log[effect.level](effect.message, effect.fields);
        return;
      default:
        effect satisfies never;
    }
  }

  #informer(): Informer<Pod> {
    const { cluster, namespace, labels } = this.#options;
    const changed = () => {
      this.#areOthersPods = true;
      this.#tellSoon();
    };
    const synced = () => this.#podsChanged();
    return cluster.informer(resources.pods, { namespace, labelSelector: labels, isForMany: true }, { changed, synced });
  }

  async #askPods(): Promise<void> {
    const { cluster, namespace, labels } = this.#options;
    let rows: readonly PodRow[] | undefined;
    try {
      rows = await cluster.podRows(namespace, labels);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // The informer says what is wrong.
    }
    this.#step({ type: "podsAsked", pods: rows && this.#byAddress(rows) });
  }

  async #bind(): Promise<void> {
    const { memberlist, emit } = this.#options;
    try {
      await memberlist.start();
    } catch (error) {
      this.#step({ type: "bindFailed", problem: memberlist.problem, error });
      return;
    }
    if (this.#state.isStopped) return;
    memberlist.onEvent((event) => {
      if (this.#state.isStopped) return;
      if (event.type === "member") this.#memberChanged(event.change, event.member, event.evidence);
      else if (event.type === "gossip") this.#hear(event.entries);
      else if (event.type === "gossipExpired") {
        while (this.#heard.length > 0) this.#tell();
        emit(event);
      }
    });
    this.#step({ type: "bound" });
    for (const member of memberlist.members()) this.#memberChanged("joined", member);
  }

  async #join(wanted: SpeakerPods): Promise<void> {
    const { memberlist, joinPort, node } = this.#options;
    const at = (address: string) => (joinPort === undefined ? address : `[${address}]:${joinPort}`);
    // Each in another order: where thousands start together, all of them would else ask the same few, and send each of these its view.
    const placeOf = (address: string) => fnv1a(`${node} ${address}`);
    const { failures } = await memberlist.join([...wanted.keys()].sort((a, b) => placeOf(a) - placeOf(b)).map(at));
    // The facts of the others come first: whoever takes itself for in the ring, and knows no owners, takes addresses of theirs.
    while (!this.#state.isStopped && (this.#areOthersMembers || this.#heard.length > 0)) {
      this.#tell();
      if (this.#heard.length > 0) await sleep(this.#options.clock, "members told", 1);
    }
    this.#step({ type: "joined", wanted, failures });
  }

  #podsChanged(): void {
    this.#areOthersPods = false;
    if (this.#pods === undefined) return;
    this.#step({ type: "pods", pods: this.#byAddress(this.#pods.values()), areComplete: this.#pods.synced });
    this.#tellNodes(this.#pods);
  }

  /** The Pods by their addresses: the node's, or the one of the Pod that members of MetalLB are bound to. A node may have one that has ended, too. */
  #byAddress(all: Iterable<PodRow>): SpeakerPods {
    const pods = new Map<string, SpeakerPod>();
    for (const { hostIP, podIPs, nodeName = "", ready } of all) {
      const address = hostIP ?? podIPs[0];
      if (address === undefined || nodeName === this.#options.node) continue;
      pods.set(address, { node: nodeName, isReady: ready || pods.get(address)?.isReady === true });
    }
    return pods;
  }

  #tellNodes(all: Informer<Pod>): void {
    const { node, emit } = this.#options;
    if (!isCentral(node) || !all.synced) return;
    const nodes = [...new Set([...all.values()].flatMap(({ nodeName = [] }) => nodeName))].sort();
    if (nodes.join() === this.#nodesWithPod?.join()) return;
    this.#nodesWithPod = nodes;
    emit({ type: "speakerPods", nodes });
  }

  #memberChanged(change: MemberEvent["change"], member: MemberView, evidence?: EvidenceView): void {
    const { name, self, incarnation, meta } = member;
    if (this.#heardOf.has(name)) this.#tellOf(name); // It told that before.
    if (self) this.#metadata.publish();
    const fields = decodeMetadata(meta);
    const bytes = fields?.get(MetadataKey.macs);
    const macs = bytes && decodeMacs(bytes);
    const life = decodeOffer(fields?.get(MetadataKey.gossip));
    this.#options.emit({ type: "member", change, node: name, incarnation, life, macs, evidence });
    this.#areOthersMembers = true;
    this.#tellSoon();
  }

  #hear(entries: readonly GossipEntry[]): void {
    for (const entry of entries) {
      this.#heard.push(entry);
      this.#heardOf.add(entry.node);
    }
    this.#tellSoon();
  }

  #tellSoon(): void {
    const { large, active, pods } = this.#state;
    const isStarting = this.#options.gossip?.isParticipating(this.#options.node) === false;
    const gatherMs = isStarting
      ? startFactor * large.gatherMs(Math.max(active.length, pods.size))
      : large.gatherMs(active.length);
    const at = this.#toldAt + gatherMs;
    if (this.#options.clock.now() >= at) this.#tell();
    else this.#gathered.setNoLater(at);
  }

  /** Tells of what was gathered; of many entries in several turns. */
  #tell(): void {
    const { emit, clock } = this.#options;
    this.#gathered.set(Infinity);
    this.#toldAt = clock.now();
    if (this.#areOthersPods) this.#podsChanged();
    if (this.#areOthersMembers) {
      this.#areOthersMembers = false;
      this.#membersChanged();
      if (this.#heard.length > maxHeardBesides) {
        this.#gathered.set(this.#toldAt + 1);
        return;
      }
    }
    if (this.#heard.length === 0) return;
    const entries = takePortion(this.#heard);
    if (this.#heard.length === 0) this.#heardOf.clear();
    else this.#gathered.set(this.#toldAt + 1);
    emit({ type: "gossip", entries });
    this.#step({ type: "gossip" });
  }

  #tellOf(name: string): void {
    const entries = this.#heard.filter(({ node }) => node === name);
    this.#heard = this.#heard.filter(({ node }) => node !== name);
    this.#heardOf.delete(name);
    this.#options.emit({ type: "gossip", entries });
    this.#step({ type: "gossip" });
  }

  #membersChanged(): void {
    const members = this.#options.memberlist.members();
    const withoutGossip: string[] = [];
    const starting: string[] = [];
    for (const { name, self, meta } of members) {
      const fields = self ? undefined : decodeMetadata(meta);
      if (!self && decodeOffer(fields?.get(MetadataKey.gossip)) === undefined) withoutGossip.push(name);
      if (fields?.has(MetadataKey.starting)) starting.push(name);
    }
    this.#step({ type: "members", members, withoutGossip: withoutGossip.sort(), starting: starting.sort() });
  }
}

/** Takes off what is heard in one turn. */
export function takePortion(heard: GossipEntry[]): GossipEntry[] {
  let [count, addresses] = [0, 0];
  for (const entry of heard.values().take(maxHeardAtOnce)) {
    addresses += mostAddresses(entry);
    if (addresses > maxAddressesAtOnce && count > 0) break; // Candidates of one page may alone be more.
    count++;
  }
  return heard.splice(0, count);
}
