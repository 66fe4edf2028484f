import type { Address, Family } from "#pkg/net";
import { fnv1a } from "#pkg/text";
import { AddressSets } from "./address-sets.ts";
import type { GossipEntry } from "./codec/entry-codec.ts";
import { encodeLinks, type Link, linksKey } from "./codec/link-codec.ts";
import { encodeTraits, type ToldTraits, type Traits, traitsKey } from "./codec/traits-codec.ts";
import {
  type AddressSetName,
  type Deliveries,
  dataPathReport,
  decodeDeliveries,
  deliveriesKey,
  encodeDeliveries,
  encodeFault,
  encodePage,
  encodeSubnets,
  encodeSummary,
  type Fault,
  faultKeys,
  interfaceKey,
  isUndelivered,
  type NodeSummary,
  pageKey,
  setOf,
  summaryKey,
  type View,
} from "./codec/value-codec.ts";
import { type GossipData, isParticipating, nothingReported, type Reachability, reportOf } from "./gossip-data.ts";
import { ChangesBuilder, contestedBy, type GossipChanges, mergeEntry, startLife } from "./merge.ts";
import { ToldCandidates } from "./told-candidates.ts";

// Far more than hosts send frames of in good faith; at most this many pages of gossip.
const maxAsked = 256;

/** The value that this node sets under a key of its own; empty: the key has no value any more. */
export interface OwnEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** To be broadcast also where it is the one before, for those that missed it. */
  readonly repeated?: boolean;
}

/**
 * The meaning of what speakers gossip: where they can answer, and which addresses they own because they announce them. A node participates
 * from when it reports a summary until it fails; when it comes back, from when its summary is of the incarnation that it came back with, or
 * of a later one. Fed by the entries of other nodes that a `GossipStore` merged; what this node reports are entries to set there.
 */
export class GossipState {
  readonly candidates: ToldCandidates;
  readonly #node: string;
  readonly #at: GossipData;

  /** @param node this one */
  constructor(node: string, at = nothingReported()) {
    this.candidates = new ToldCandidates(node, at);
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
    return isParticipating(this.#at, node);
  }

  /** What a node that participates says about itself as a whole. */
  summary(node: string): NodeSummary | undefined {
    return this.isParticipating(node) ? this.#at.nodes.get(node)?.summary : undefined;
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

  /** Nodes that report that they announce it, as its owner or by BGP where it has none: another one asks, or a view of the API is not current. */
  announcers(address: string): readonly string[] {
    return this.#participantsWith("announced", address);
  }

  /** Participating nodes that report that they advertise the address by BGP, in a pool with owners; for the same reasons. */
  advertisers(address: string): readonly string[] {
    return this.#participantsWith("advertised", address);
  }

  /** Nodes that participate and have open connections to an address that another node owns now. */
  servers(address: string): readonly string[] {
    return this.#participantsWith("serving", address);
  }

  /** Interfaces by which others send to the node itself; the last that it reported, also where it left since. */
  links(node: string): readonly Link[] {
    return this.#at.links.get(node) ?? [];
  }

  /** The view uncertainty that a participating node has reported (`setViewUncertainty`). */
  viewUncertainty(node: string): number {
    return this.summary(node)?.viewUncertainty ?? 0;
  }

  /** How a node that participates sees what changes in the API. It counts as current until all has arrived that it announces. */
  view(node: string): View {
    return (this.#at.nodes.get(node)?.isAnnouncedKnown && this.summary(node)?.view) || "current";
  }

  /** False for a node that leaves no addresses of drained nodes to others, because its version knows nothing of it. */
  knowsDrain(node: string): boolean {
    return this.#at.nodes.get(node)?.summary?.knowsDrain ?? true;
  }

  /**
   * The nodes among these whose reports say that they cannot deliver packets of a family to Pods. None while any of these does not take that into
   * account, because all have to choose owners among the same nodes. A node that does not participate yet is about to say which it is.
   */
  undelivering(nodes: readonly string[], family: Family): readonly string[] {
    if (nodes.some((node) => this.summary(node)?.dataPath === "unknown")) return [];
    return nodes.filter((node) => isUndelivered(this.summary(node)?.dataPath, family));
  }

  /** The signs that a node which participates was once without: see `seenWithoutBits`. */
  seenWithout(node: string): number {
    return this.summary(node)?.seenWithout ?? 0;
  }

  setSeenWithout(bits: number): void {
    this.#report("seenWithout", bits);
  }

  /** The nodes among these whose reports say that they cannot deliver packets for the address to Pods; see `undelivering`. */
  undeliveringAt(nodes: readonly string[], address: Address): readonly string[] {
    const all = this.#participantsWith("undelivered", address.toString());
    if (all.length === 0 || nodes.some((node) => this.summary(node)?.dataPath === "unknown")) return [];
    return all.filter((node) => nodes.includes(node));
  }

  /** Reports whether this node cannot deliver packets for the address to Pods. Meant for few. */
  setUndeliveredAt(address: Address, isUndelivered: boolean): void {
    this.#put("undelivered", address, isUndelivered);
  }

  /** Reports which packets this node cannot deliver to Pods. */
  setUndelivered(families: readonly Family[]): void {
    this.#report("dataPath", dataPathReport(families));
  }

  /** How a node that participates delivers its routes of a pool; undefined where it does not report that. */
  deliveries(node: string, pool: string): Deliveries | undefined {
    const reported = this.isParticipating(node) ? this.#at.nodes.get(node)?.deliveries : undefined;
    return reported && (reported.others.get(fnv1a(pool)) ?? reported.usual);
  }

  /** How this node delivers its routes of each pool. */
  setDeliveries(pools: ReadonlyMap<string, Deliveries>): void {
    const value = encodeDeliveries(pools);
    reportOf(this.#at, this.#node).deliveries = decodeDeliveries(value);
    this.#at.entries.set(deliveriesKey, value);
  }

  /** The faults that another node reports, while it participates. */
  faults(node: string): readonly Fault[] {
    return this.isParticipating(node) ? [...(this.#at.nodes.get(node)?.faults.values() ?? [])] : [];
  }

  /** The faults of this node; of more than eight the first ones. */
  setFaults(faults: readonly Fault[]): void {
    const values = faults.slice(0, faultKeys.length).map(encodeFault);
    for (const [index, key] of faultKeys.entries()) this.#at.entries.set(key, values[index] ?? new Uint8Array());
  }

  /** The last traits that the node told in this life, also before it participates; undefined where it tells none. */
  traits(node: string): ToldTraits | undefined {
    return this.#at.nodes.get(node)?.traits;
  }

  /** The traits of this node. Where it has too many labels, it tells none. */
  setTraits(traits: Traits): void {
    this.#at.entries.set(traitsKey, encodeTraits(traits) ?? new Uint8Array());
  }

  /** This node participates from now on. */
  participate(): void {
    this.#at.isParticipating = true;
    this.#reportSummary();
  }

  /** Where this node can answer. */
  setReachability({ answers, hasKernelAccess, interfaces }: Reachability): void {
    Object.assign(this.#at, { answers, hasKernelAccess });
    const own = reportOf(this.#at, this.#node);
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

  /** Whether this node reports any address that it announces. */
  get reportsAny(): boolean {
    return this.#at.sets.announced.size(this.#node) + this.#at.sets.advertised.size(this.#node) > 0;
  }

  /** Reports that this node advertises the address by BGP, or no longer: see `advertisers`. */
  setAdvertised(address: Address, isAdvertised: boolean): void {
    this.#put("advertised", address, isAdvertised);
  }

  /** Reports whether this node still has open connections to an address that another node owns now. */
  setServing(address: Address, isServing: boolean): void {
    this.#put("serving", address, isServing);
  }

  /** Interfaces by which others send to this node itself; none where nobody has to know. */
  setLinks(links: readonly Link[]): void {
    this.#at.links.set(this.#node, links);
    this.#at.entries.set(linksKey, links.length === 0 ? new Uint8Array() : encodeLinks(links));
  }

  /** Reports once more whether this node owns the address, since another node may not know. */
  repeat(address: Address): void {
    const page = pageKey("owned", address);
    this.#at.changedPages.add(page);
    this.#at.repeated.add(page).add(summaryKey);
  }

  /** Of two that own one address, the one with the more certain view keeps it. Reported with the next change of ownership, or of the summary. 0 to 65535. */
  setViewUncertainty(uncertainty: number): void {
    this.#at.viewUncertainty = uncertainty;
    if (uncertainty === 0) this.#reportSummary();
  }

  /**
   * Tells whether this node sees changes in the API. While its view is not current, it keeps its announcements, and reports them (`setAnnounced`): the others
   * leave exactly these to it. Its reports of both are repeated, because all of them have to arrive.
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
    this.#report("incarnation", incarnation);
  }

  /** A node failed. Its reports do not count until it has joined again. */
  failed(node: string): void {
    if (this.#at.nodes.has(node)) this.#at.since.set(node, Infinity);
  }

  /** Whether the node has joined, and not failed since; undefined for one that has not joined, or was forgotten. */
  isMember(node: string): boolean | undefined {
    return this.#at.since.has(node) ? this.#at.since.get(node) !== Infinity : undefined;
  }

  /** A node joined, perhaps again: what it reports in this life, and as this incarnation or a later one, counts. */
  joined(node: string, incarnation: number, life: number): GossipChanges {
    const before = this.isParticipating(node);
    const changes = new ChangesBuilder();
    this.restarted(node, life, changes);
    this.#at.since.set(node, incarnation);
    if (this.isParticipating(node) !== before) changes.nodes = true;
    return changes.build();
  }

  /** The process of a member is another one since it started again, so soon that it did not fail. */
  restarted(node: string, life: number, changes = new ChangesBuilder()): GossipChanges {
    if (life > reportOf(this.#at, node).life) startLife(this.#at, node, life, changes);
    return changes.build();
  }

  /** A node left, or is gone for good. */
  forget(node: string): void {
    for (const set of Object.values(this.#at.sets)) set.clear(node);
    for (const kept of [this.#at.candidates, this.#at.nodes, this.#at.since]) kept.delete(node);
  }

  /** Takes in entries of other nodes that changed. */
  merge(entries: Iterable<GossipEntry>): GossipChanges {
    const changes = new ChangesBuilder();
    for (const entry of entries) mergeEntry(this.#at, entry, changes);
    return changes.build();
  }

  /** This node's entries that changed since the last call. */
  takeEntries(): OwnEntry[] {
    if (this.#at.changedPages.size > 0) this.#reportSummary();
    for (const page of this.#at.changedPages) {
      const set = this.#at.sets[setOf(page) ?? "owned"];
      this.#at.entries.set(page, encodePage(set.page(this.#node, page).values()));
    }
    const entries = [...this.#at.entries].map(([key, value]) => ({ key, value, repeated: this.#at.repeated.has(key) }));
    for (const taken of [this.#at.entries, this.#at.changedPages, this.#at.repeated]) taken.clear();
    return entries;
  }

  /** Addresses whose owners have to be compared again since the last call, because this node has reported its view uncertainty. */
  takeContested(): readonly Address[] {
    const contested = this.#at.contested;
    this.#at.contested = [];
    return contested;
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

  #report<Key extends "dataPath" | "seenWithout" | "incarnation">(key: Key, value: GossipData[Key]): void {
    if (this.#at[key] === value) return;
    this.#at[key] = value;
    this.#reportSummary();
  }

  #reportSummary(): void {
    if (!this.#at.isParticipating) return;
    if (this.viewUncertainty(this.#node) !== this.#at.viewUncertainty) this.#at.contested = contestedBy(this.#at, this.#node);
    const own = reportOf(this.#at, this.#node);
    const { answers, hasKernelAccess, view, dataPath, viewUncertainty, incarnation, seenWithout, sets } = this.#at;
    const announced = view === "current" ? 0 : sets.announced.size(this.#node) & 0xffff;
    const told = { answers, hasKernelAccess, view, dataPath, viewUncertainty, incarnation, seenWithout };
    own.summary = { ...told, knowsViews: true, knowsDrain: true, heedsViews: true, announced };
    own.isAnnouncedKnown = true;
    own.reachability = undefined;
    this.#at.entries.set(summaryKey, encodeSummary(own.summary));
  }
}

/** Classes in a saved `GossipState`. */
export const gossipClasses = { GossipState, AddressSets };
