import type { Address, Prefix } from "#pkg/net";
import { AddressSets } from "./address-sets.ts";
import type { GossipEntry } from "./codec/entry-codec.ts";
import {
  type AddressSetName,
  decodePage,
  decodeSubnets,
  decodeSummary,
  encodePage,
  encodeSubnets,
  encodeSummary,
  interfaceKey,
  interfaceOf,
  type NodeSummary,
  pageKey,
  setOf,
  summaryKey,
  type View,
} from "./codec/value-codec.ts";

// Far more than hosts send frames of in good faith; at most this many pages of gossip.
const maxAsked = 256;

/** Where a node can announce addresses that have one owner, as it reports itself. */
export interface Reachability {
  /** It has an interface that can answer and has a carrier. */
  readonly answers: boolean;
  /** It may change the addresses of its kernel. */
  readonly hasKernelAccess: boolean;
  /** These interfaces by name, with their subnets; only interfaces with a subnet, or that a pool asks for by name. */
  readonly interfaces: ReadonlyMap<string, readonly Prefix[]>;
}

/** Changes since gossip was last merged. */
export interface GossipChanges {
  /** Whether the participating nodes have changed, or the interfaces on which they can answer. */
  readonly nodes: boolean;
  /** Addresses with other owners than before, or whose owners have to be compared again. */
  readonly addresses: readonly Address[];
  /** Addresses that others ask about, or no longer, and addresses that a node reports to announce by any protocol, or no longer. */
  readonly asked: readonly Address[];
}

/** The value that this node sets under a key of its own; empty: the key has no value any more. */
export interface OwnEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** To be broadcast also where it is the one before, for those that missed it. */
  readonly repeated?: boolean;
}

interface ReportedNode {
  /** See `GossipStore`. */
  life: number;
  summary: NodeSummary | undefined;
  /** All has arrived that it announced when it reported that its view is not current. */
  isAnnouncedKnown: boolean;
  readonly interfaces: Map<string, readonly Prefix[]>;
  /** Made of both when it is asked for. */
  reachability: Reachability | undefined;
}

/** All reports of the speakers, this one's own among them. */
interface GossipData {
  readonly nodes: Map<string, ReportedNode>; // node -> what it reports
  readonly since: Map<string, number>; // node -> the incarnation from which its summary counts; infinite while it is failed
  readonly sets: Readonly<Record<AddressSetName, AddressSets>>;
  readonly entries: Map<string, Uint8Array>; // key -> value; of this node, and not taken yet
  readonly changedPages: Set<string>; // Pages of this node that are not among the entries yet.
  readonly repeated: Set<string>; // keys of entries of this node to be broadcast once more
  contested: readonly Address[]; // Owned by this node and others when its view uncertainty was reported.
  answers: boolean;
  hasKernelAccess: boolean;
  viewUncertainty: number;
  view: View;
  incarnation: number;
  isParticipating: boolean;
}

function nothingReported(): GossipData {
  return {
    nodes: new Map(),
    since: new Map(),
    sets: { owned: new AddressSets(), asked: new AddressSets(), announced: new AddressSets(), advertised: new AddressSets() },
    entries: new Map(),
    changedPages: new Set(),
    repeated: new Set(),
    contested: [],
    answers: false,
    hasKernelAccess: true,
    viewUncertainty: 0,
    view: "current",
    incarnation: 0,
    isParticipating: false,
  };
}

/**
 * The meaning of what speakers gossip: where they can answer, and which addresses they own because they announce them. A node participates
 * from when it reports a summary until it fails; when it comes back, from when its summary is of the incarnation that it came back with, or
 * of a later one. Fed by the entries of other nodes that a `GossipStore` merged; what this node reports are entries to set there.
 */
export class GossipState {
  readonly #node: string;
  readonly #at: GossipData;

  /** @param node this one */
  constructor(node: string, at = nothingReported()) {
    this.#node = node;
    this.#at = at;
  }

  save() {
    return { node: this.#node, at: this.#at };
  }

  static restore({ node, at }: ReturnType<GossipState["save"]>): GossipState {
    return new GossipState(node, at);
  }

  isParticipating(node: string): boolean {
    const incarnation = this.#at.nodes.get(node)?.summary?.incarnation;
    return incarnation !== undefined && incarnation >= (this.#at.since.get(node) ?? 0);
  }

  /** Whether the node participated as an earlier incarnation: what it reports since then may have got lost. */
  isAwaited(node: string): boolean {
    return this.#at.nodes.get(node)?.summary !== undefined && !this.isParticipating(node);
  }

  /** Where the node can answer; undefined while it does not participate. */
  reachability(node: string): Reachability | undefined {
    const reported = this.#at.nodes.get(node);
    if (reported?.summary === undefined || !this.isParticipating(node)) return undefined;
    const { answers, hasKernelAccess } = reported.summary;
    reported.reachability ??= { answers, hasKernelAccess, interfaces: new Map(reported.interfaces) };
    return reported.reachability;
  }

  /** Nodes that participate and own the address, this one included, in no order. */
  owners(address: string): readonly string[] {
    return this.#participantsWith("owned", address);
  }

  /** Nodes that participate and ask who announces the address. */
  askers(address: string): readonly string[] {
    return this.#participantsWith("asked", address);
  }

  /**
   * Nodes that participate and report that they announce the address, because another one asks, or a view of the API is not current: as its owner
   * or, where its pool has no owners, by BGP.
   */
  announcers(address: string): readonly string[] {
    return this.#participantsWith("announced", address);
  }

  /** Nodes that participate and report, for the same reasons, that they advertise the address by BGP, in a pool that has owners too. */
  advertisers(address: string): readonly string[] {
    return this.#participantsWith("advertised", address);
  }

  /** The view uncertainty that a participating node has reported (`setViewUncertainty`). */
  viewUncertainty(node: string): number {
    return this.isParticipating(node) ? (this.#at.nodes.get(node)?.summary?.viewUncertainty ?? 0) : 0;
  }

  /** How a node that participates sees what changes in the API. It counts as current until all has arrived that it announces. */
  view(node: string): View {
    const reported = this.#at.nodes.get(node);
    return reported?.isAnnouncedKnown && this.isParticipating(node) ? (reported.summary?.view ?? "current") : "current";
  }

  /** This node participates from now on. */
  participate(): void {
    this.#at.isParticipating = true;
    this.#reportSummary();
  }

  /** Where this node can answer. */
  setReachability({ answers, hasKernelAccess, interfaces }: Reachability): void {
    this.#at.answers = answers;
    this.#at.hasKernelAccess = hasKernelAccess;
    const own = this.#reported(this.#node);
    for (const name of own.interfaces.keys())
      if (!interfaces.has(name)) this.#at.entries.set(interfaceKey(name), new Uint8Array());
    own.interfaces.clear();
    for (const [name, subnets] of interfaces) {
      own.interfaces.set(name, subnets);
      this.#at.entries.set(interfaceKey(name), encodeSubnets(subnets));
    }
    own.reachability = undefined;
    this.#reportSummary();
  }

  /** This node announces the address, and owns it. */
  own(address: Address): void {
    this.#put("owned", address, true);
  }

  release(address: Address): void {
    this.#put("owned", address, false);
  }

  /**
   * Asks the others whether they announce the address, or no longer: only a member that reports so in the ring announces it; frames on the
   * wire do not count. At most 256 at a time. @returns whether that is asked now
   */
  ask(address: Address, isAsked: boolean): boolean {
    const { asked } = this.#at.sets;
    if (isAsked && !asked.has(this.#node, address) && asked.size(this.#node) >= maxAsked) return false;
    this.#put("asked", address, isAsked);
    return isAsked;
  }

  /** Reports that this node announces the address, or no longer: see `announcers`. Meant for few: those that others ask about. */
  setAnnounced(address: Address, isAnnounced: boolean): void {
    this.#put("announced", address, isAnnounced);
  }

  /** Reports that this node advertises the address by BGP, or no longer: see `advertisers`. */
  setAdvertised(address: Address, isAdvertised: boolean): void {
    this.#put("advertised", address, isAdvertised);
  }

  /** Reports once more whether this node owns the address, since another node may not know. */
  repeat(address: Address): void {
    const page = pageKey("owned", address);
    this.#at.changedPages.add(page);
    this.#at.repeated.add(page).add(summaryKey);
  }

  /**
   * How uncertain this node's view of the others is, 0 to 65535: of two that own one address, the one with the more certain view keeps it.
   * Reported when it makes a difference: with the next change of ownership, or when the others need a new summary of this node.
   */
  setViewUncertainty(uncertainty: number): void {
    this.#at.viewUncertainty = uncertainty;
    if (uncertainty === 0) this.#reportSummary();
  }

  /**
   * Tells whether this node sees changes in the API. While its view is not current, the node keeps its announcements, which it has to
   * report as well (`setAnnounced`); the others leave exactly these to it. Its reports of both are repeated, because all of them have to
   * arrive.
   */
  setView(view: View): void {
    if (view === this.#at.view) return;
    this.#at.view = view;
    for (const address of view === "current" ? [] : this.#at.sets.announced.by(this.#node)) {
      const page = pageKey("announced", address);
      this.#at.changedPages.add(page);
      this.#at.repeated.add(page);
    }
    this.#reportSummary();
  }

  /** This node's in the ring. It is greater than before when others may have declared this node dead. */
  setIncarnation(incarnation: number): void {
    if (incarnation === this.#at.incarnation) return;
    this.#at.incarnation = incarnation;
    this.#reportSummary();
  }

  /** A node failed. Its reports do not count until it has joined again. */
  failed(node: string): void {
    if (this.#at.nodes.has(node)) this.#at.since.set(node, Infinity);
  }

  /** A node joined, perhaps again: what it reports in this life, and as this incarnation or a later one, counts. */
  joined(node: string, incarnation: number, life: number): GossipChanges {
    const before = this.isParticipating(node);
    const changes = new ChangesBuilder();
    if (life > this.#reported(node).life) this.#startLife(node, life, changes);
    this.#at.since.set(node, incarnation);
    if (this.isParticipating(node) !== before) changes.nodes = true;
    return changes.build();
  }

  /** The process of a member is another one since it started again, so soon that it did not fail. */
  restarted(node: string, life: number): GossipChanges {
    const changes = new ChangesBuilder();
    if (life > this.#reported(node).life) this.#startLife(node, life, changes);
    return changes.build();
  }

  /** A node left, or is gone for good. */
  forget(node: string): void {
    for (const set of Object.values(this.#at.sets)) set.clear(node);
    this.#at.nodes.delete(node);
    this.#at.since.delete(node);
  }

  /** Takes in entries of other nodes that changed. */
  merge(entries: Iterable<GossipEntry>): GossipChanges {
    const changes = new ChangesBuilder();
    for (const entry of entries) {
      if (entry.life !== this.#reported(entry.node).life) this.#startLife(entry.node, entry.life, changes);
      this.#merge(entry, changes);
      this.#checkAnnounced(entry.node, changes);
    }
    return changes.build();
  }

  /** This node's entries that changed since the last call. */
  takeEntries(): OwnEntry[] {
    if (this.#at.changedPages.size > 0) this.#reportSummary();
    for (const page of this.#at.changedPages) {
      const set = this.#at.sets[setOf(page) ?? "owned"];
      this.#at.entries.set(page, encodePage(set.page(this.#node, page).values()));
    }
    this.#at.changedPages.clear();
    const entries = [...this.#at.entries].map(([key, value]) => ({ key, value, repeated: this.#at.repeated.has(key) }));
    this.#at.entries.clear();
    this.#at.repeated.clear();
    return entries;
  }

  /** Addresses whose owners have to be compared again since the last call, because this node has reported its view uncertainty. */
  takeContested(): readonly Address[] {
    const contested = this.#at.contested;
    this.#at.contested = [];
    return contested;
  }

  #merge({ node, key, value }: GossipEntry, changes: ChangesBuilder): void {
    const reported = this.#reported(node);
    const name = interfaceOf(key);
    const set = setOf(key);
    if (set !== undefined) changes.touch(set, this.#at.sets[set].set(node, key, decodePage(key, value)));
    else if (key === summaryKey) this.#setSummary(node, reported, decodeSummary(value), changes);
    else if (name !== undefined) {
      const subnets = decodeSubnets(value);
      if (subnets === undefined) reported.interfaces.delete(name);
      else reported.interfaces.set(name, subnets);
      reported.reachability = undefined;
      changes.nodes = true;
    }
  }

  #setSummary(node: string, reported: ReportedNode, summary: NodeSummary | undefined, changes: ChangesBuilder): void {
    const before = this.isParticipating(node) ? reported.summary : undefined;
    reported.summary = summary;
    reported.reachability = undefined;
    const now = this.isParticipating(node) ? summary : undefined;
    if (before?.view !== now?.view) this.#touchAnnounced(node, changes);
    const isSame =
      before?.answers === now?.answers && before?.hasKernelAccess === now?.hasKernelAccess && before?.view === now?.view;
    if (!isSame) changes.nodes = true;
    else if (before?.viewUncertainty !== now?.viewUncertainty) changes.touch("owned", this.#contestedBy(node));
  }

  /** Entries overtake one another: a view that is not current counts from when it is known what else the node announces. */
  #checkAnnounced(node: string, changes: ChangesBuilder): void {
    const reported = this.#reported(node);
    const { summary } = reported;
    if (summary === undefined || summary.view === "current") reported.isAnnouncedKnown = false;
    else if (!reported.isAnnouncedKnown && (this.#at.sets.announced.size(node) & 0xffff) === summary.announced) {
      reported.isAnnouncedKnown = true;
      changes.nodes = true;
      this.#touchAnnounced(node, changes);
    }
  }

  #touchAnnounced(node: string, changes: ChangesBuilder): void {
    for (const name of ["announced", "advertised"] as const) changes.touch(name, this.#at.sets[name].by(node));
  }

  /** Reports of an earlier life of the node no longer hold. */
  #startLife(node: string, life: number, changes: ChangesBuilder): void {
    const reported = this.#reported(node);
    if (reported.summary !== undefined) changes.nodes = true;
    for (const name of Object.keys(this.#at.sets) as AddressSetName[]) {
      changes.touch(name, this.#at.sets[name].by(node));
      this.#at.sets[name].clear(node);
    }
    this.#at.nodes.set(node, newNode(life));
  }

  /** Addresses of a node that others own as well. */
  #contestedBy(node: string): Address[] {
    const { owned } = this.#at.sets;
    return [...owned.by(node)].filter((address) => owned.of(address.toString()).length > 1);
  }

  #participantsWith(set: AddressSetName, address: string): readonly string[] {
    const all = this.#at.sets[set].of(address);
    return all.every((node) => this.isParticipating(node)) ? all : all.filter((node) => this.isParticipating(node));
  }

  #put(name: AddressSetName, address: Address, isIn: boolean): void {
    const set = this.#at.sets[name];
    if (set.has(this.#node, address) === isIn) return;
    const page = pageKey(name, address);
    if (isIn) set.add(this.#node, page, address);
    else set.remove(this.#node, page, address);
    this.#at.changedPages.add(page);
  }

  #reportSummary(): void {
    if (!this.#at.isParticipating) return;
    if (this.viewUncertainty(this.#node) !== this.#at.viewUncertainty) this.#at.contested = this.#contestedBy(this.#node);
    const own = this.#reported(this.#node);
    own.summary = {
      answers: this.#at.answers,
      hasKernelAccess: this.#at.hasKernelAccess,
      view: this.#at.view,
      announced: this.#at.view === "current" ? 0 : this.#at.sets.announced.size(this.#node) & 0xffff,
      viewUncertainty: this.#at.viewUncertainty,
      incarnation: this.#at.incarnation,
    };
    own.isAnnouncedKnown = true;
    own.reachability = undefined;
    this.#at.entries.set(summaryKey, encodeSummary(own.summary));
  }

  #reported(node: string): ReportedNode {
    const known = this.#at.nodes.get(node);
    if (known !== undefined) return known;
    const reported = newNode(0);
    this.#at.nodes.set(node, reported);
    return reported;
  }
}

/** Classes in a saved `GossipState`. */
export const gossipClasses = { GossipState, AddressSets };

function newNode(life: number): ReportedNode {
  return { life, summary: undefined, isAnnouncedKnown: false, interfaces: new Map(), reachability: undefined };
}

class ChangesBuilder {
  nodes = false;
  readonly #addresses = new Map<string, Address>(); // text -> address
  readonly #asked = new Map<string, Address>(); // text -> address

  touch(set: AddressSetName, addresses: Iterable<Address>): void {
    const touched = set === "owned" ? this.#addresses : this.#asked;
    for (const address of addresses) touched.set(address.toString(), address);
  }

  build(): GossipChanges {
    return { nodes: this.nodes, addresses: [...this.#addresses.values()], asked: [...this.#asked.values()] };
  }
}
