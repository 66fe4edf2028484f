import type { Address, Prefix } from "#pkg/net";
import type { GossipEntry } from "./codec/entry-codec.ts";
import { decodePage, encodePage, isPage, pageOf } from "./codec/ownership-codec.ts";
import {
  decodeSubnets,
  decodeSummary,
  encodeSubnets,
  encodeSummary,
  interfaceKey,
  interfaceOf,
  type NodeSummary,
  summaryKey,
} from "./codec/summary-codec.ts";
import { GossipStore } from "./gossip-store.ts";
import { Ownerships } from "./ownerships.ts";

/** Where a node can answer on layer 2, as it reports itself. */
export interface Reachability {
  /** It has an interface that can answer and has a carrier. */
  readonly answers: boolean;
  /** Those interfaces by name, with their subnets; only ones that have a subnet, or that a pool asks for by name. */
  readonly interfaces: ReadonlyMap<string, readonly Prefix[]>;
}

/** What is known otherwise than before. */
export interface GossipChanges {
  /** Who takes part, or where one of them can answer. */
  readonly nodes: boolean;
  /** Addresses that others claim than before, or whose owners are to be compared anew. */
  readonly addresses: readonly Address[];
}

/**
 * What the speakers report of themselves: where they can answer, and which addresses they claim because they announce them. One
 * takes part once it has said that it does, until it fails; when it comes back, from when it has said so as the incarnation that it came
 * back with, or a later one.
 */
export class GossipState {
  readonly #node: string;
  readonly #store: GossipStore;
  readonly #summaries = new Map<string, NodeSummary>(); // node -> what it says; of those that take part
  readonly #since = new Map<string, number>(); // node -> the incarnation from which its word counts; infinite while it is failed
  readonly #reachabilities = new Map<string, Reachability>(); // node -> where it can answer; those that were asked for
  readonly #ownerships = new Ownerships();
  readonly #changedPages = new Set<string>(); // Of this node; not on the store yet.
  #contestedByUncertainty: readonly Address[] = []; // Claimed by this node and others, when its viewUncertainty was told.
  #answers = false;
  #viewUncertainty = 0;
  #incarnation = 0;
  #participating = false;

  /** @param node this one */
  constructor(node: string) {
    this.#node = node;
    this.#store = new GossipStore(node);
  }

  isParticipating(node: string): boolean {
    return this.#summaries.has(node);
  }

  /** Where the node can answer; undefined while it does not take part. */
  reachability(node: string): Reachability | undefined {
    const summary = this.#summaries.get(node);
    if (summary === undefined) return undefined;
    const known = this.#reachabilities.get(node);
    if (known !== undefined) return known;
    const interfaces = new Map<string, readonly Prefix[]>();
    for (const { key, value } of this.#store.of(node).values()) {
      const name = interfaceOf(key);
      const subnets = name === undefined ? undefined : decodeSubnets(value);
      if (name !== undefined && subnets !== undefined) interfaces.set(name, subnets);
    }
    const reachability = { answers: summary.answers, interfaces };
    this.#reachabilities.set(node, reachability);
    return reachability;
  }

  /** Nodes that take part and claim the address, in no order. */
  owners(address: string): readonly string[] {
    const all = this.#ownerships.of(address);
    return all.every((node) => this.isParticipating(node)) ? all : all.filter((node) => this.isParticipating(node));
  }

  /** What the node has told of `setViewUncertainty`. */
  viewUncertainty(node: string): number {
    return this.#summaries.get(node)?.viewUncertainty ?? 0;
  }

  /** This node takes part from now on. */
  participate(): void {
    this.#participating = true;
    this.#setOwnSummary();
  }

  /** Where this node can answer. */
  setReachability({ answers, interfaces }: Reachability): void {
    this.#answers = answers;
    for (const key of [...this.#store.of(this.#node).keys()]) {
      const name = interfaceOf(key);
      if (name !== undefined && !interfaces.has(name)) this.#store.set(key, new Uint8Array());
    }
    for (const [name, subnets] of interfaces) this.#store.set(interfaceKey(name), encodeSubnets(subnets));
    this.#reachabilities.delete(this.#node);
    this.#setOwnSummary();
  }

  /** This node announces the address, and claims it. */
  own(address: Address): void {
    if (this.#ownerships.has(this.#node, address)) return;
    const page = pageOf(address);
    this.#ownerships.add(this.#node, page, address);
    this.#changedPages.add(page);
  }

  release(address: Address): void {
    if (!this.#ownerships.has(this.#node, address)) return;
    const page = pageOf(address);
    this.#ownerships.remove(this.#node, page, address);
    this.#changedPages.add(page);
  }

  /**
   * How much this node has to viewUncertainty its own view of the others, 0 to 65535: of two that claim one address, the one with less viewUncertainty keeps
   * it. It is told when it makes a difference: with the next claim, or when the others have to hear of this node anew.
   */
  setViewUncertainty(viewUncertainty: number): void {
    this.#viewUncertainty = viewUncertainty;
    if (viewUncertainty === 0) this.#setOwnSummary();
  }

  /** This node's in the ring. It is greater than before when others may have taken this node for gone. */
  setIncarnation(incarnation: number): void {
    if (incarnation === this.#incarnation) return;
    this.#incarnation = incarnation;
    this.#setOwnSummary();
  }

  /** A node failed. What it said does not hold until it has joined again. */
  failed(node: string): void {
    this.#since.set(node, Infinity);
    this.#summaries.delete(node);
  }

  /** A node joined, perhaps again: what it says as this incarnation or a later one holds. */
  joined(node: string, incarnation: number): GossipChanges {
    this.#since.set(node, incarnation);
    const summary = this.#store.of(node).get(summaryKey);
    const touched = summary === undefined ? [] : this.#setSummary(summary);
    if (touched === undefined) this.#reachabilities.delete(node);
    return { nodes: touched === undefined, addresses: touched ?? [] };
  }

  /** A node is gone for good, or has said that it goes. */
  forget(node: string): void {
    this.#ownerships.clear(node);
    this.#store.forget(node);
    this.#summaries.delete(node);
    this.#reachabilities.delete(node);
    this.#since.delete(node);
  }

  /** Takes in what another node sent: what it reports of itself, and what it has heard from others. */
  merge(payload: Uint8Array): GossipChanges {
    const addresses = new Map<string, Address>();
    let nodes = false;
    for (const entry of this.#store.merge(payload)) {
      const touched = isPage(entry.key) ? this.#setPage(entry) : entry.key === summaryKey ? this.#setSummary(entry) : undefined;
      for (const address of touched ?? []) addresses.set(address.toString(), address);
      if (touched === undefined) {
        this.#reachabilities.delete(entry.node);
        nodes = true;
      }
    }
    return { nodes, addresses: [...addresses.values()] };
  }

  /** What to send to the others since the last call. */
  takeUpdates(): ReturnType<GossipStore["takeUpdates"]> {
    this.#setOwnPages();
    return this.#store.takeUpdates();
  }

  /** Addresses whose owners are to be compared anew since the last call, because this node has told its viewUncertainty. */
  takeContested(): readonly Address[] {
    const doubted = this.#contestedByUncertainty;
    this.#contestedByUncertainty = [];
    return doubted;
  }

  /**
   * All that is known of these nodes and of this one, to send to another. Also of those that failed: the other may be one of them, which
   * has started again and has to outbid what it said before.
   */
  state(nodes: Iterable<string>): Uint8Array {
    const failed = [...this.#since].filter(([, since]) => since === Infinity).map(([node]) => node);
    return this.#store.state([...nodes, ...failed]);
  }

  #setPage({ node, key, value }: GossipEntry): Address[] {
    return this.#ownerships.set(node, key, decodePage(key, value));
  }

  /** @returns what is to be compared anew; undefined when another thing than the viewUncertainty changed */
  #setSummary({ node, value }: GossipEntry): Address[] | undefined {
    const before = this.#summaries.get(node);
    const said = decodeSummary(value);
    const now = said !== undefined && said.incarnation >= (this.#since.get(node) ?? 0) ? said : undefined;
    if (now === undefined) this.#summaries.delete(node);
    else this.#summaries.set(node, now);
    if (before?.answers !== now?.answers) return undefined;
    if (before?.viewUncertainty === now?.viewUncertainty) return [];
    return this.#contested(node);
  }

  /** What a node claims that others claim as well. */
  #contested(node: string): Address[] {
    return [...this.#ownerships.by(node)].filter((address) => this.#ownerships.of(address.toString()).length > 1);
  }

  #setOwnSummary(): void {
    if (!this.#participating) return;
    const summary = { answers: this.#answers, viewUncertainty: this.#viewUncertainty, incarnation: this.#incarnation };
    if (this.viewUncertainty(this.#node) !== this.#viewUncertainty) this.#contestedByUncertainty = this.#contested(this.#node);
    this.#summaries.set(this.#node, summary);
    this.#store.set(summaryKey, encodeSummary(summary));
  }

  #setOwnPages(): void {
    if (this.#changedPages.size === 0) return;
    this.#setOwnSummary();
    for (const page of this.#changedPages) this.#store.set(page, encodePage(this.#ownerships.page(this.#node, page).values()));
    this.#changedPages.clear();
  }
}
