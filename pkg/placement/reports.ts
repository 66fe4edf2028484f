import { Board, type Notice } from "#pkg/board";
import type { Address, Prefix } from "#pkg/net";
import { decodePage, encodePage, isPage, pageOf } from "./claim-pages-codec.ts";
import { Claims } from "./claims.ts";
import type { Reach } from "./reach.ts";
import {
  decodeHead,
  decodeSubnets,
  encodeHead,
  encodeSubnets,
  type Head,
  headKey,
  interfaceKey,
  interfaceOf,
} from "./reports-codec.ts";

/** What is known otherwise than before. */
export interface Changes {
  /** Who takes part, or where one of them can answer. */
  readonly nodes: boolean;
  /** Addresses that others claim than before, or whose claimants are to be compared anew. */
  readonly addresses: readonly Address[];
}

/**
 * What the speakers report of themselves: where they can answer, and which addresses they claim because they announce them. One
 * takes part once it has said that it does, until it fails; when it comes back, from when it has said so as the incarnation that it came
 * back with, or a later one.
 */
export class Reports {
  readonly #node: string;
  readonly #board: Board;
  readonly #heads = new Map<string, Head>(); // node -> what it says; of those that take part
  readonly #since = new Map<string, number>(); // node -> the incarnation from which its word counts; infinite while it is failed
  readonly #reaches = new Map<string, Reach>(); // node -> where it can answer; those that were asked for
  readonly #claims = new Claims();
  readonly #changedPages = new Set<string>(); // Of this node; not on the board yet.
  #doubted: readonly Address[] = []; // Claimed by this node and others, when its doubt was told.
  #answers = false;
  #doubt = 0;
  #incarnation = 0;
  #taking = false;

  /** @param node this one */
  constructor(node: string) {
    this.#node = node;
    this.#board = new Board(node);
  }

  takesPart(node: string): boolean {
    return this.#heads.has(node);
  }

  /** Where the node can answer; undefined while it does not take part. */
  reach(node: string): Reach | undefined {
    const head = this.#heads.get(node);
    if (head === undefined) return undefined;
    const known = this.#reaches.get(node);
    if (known !== undefined) return known;
    const interfaces = new Map<string, readonly Prefix[]>();
    for (const { key, value } of this.#board.of(node).values()) {
      const name = interfaceOf(key);
      const subnets = name === undefined ? undefined : decodeSubnets(value);
      if (name !== undefined && subnets !== undefined) interfaces.set(name, subnets);
    }
    const reach = { answers: head.answers, interfaces };
    this.#reaches.set(node, reach);
    return reach;
  }

  /** Nodes that take part and claim the address, in no order. */
  claimants(address: string): readonly string[] {
    const all = this.#claims.of(address);
    return all.every((node) => this.takesPart(node)) ? all : all.filter((node) => this.takesPart(node));
  }

  /** What the node has told of `setDoubt`. */
  doubt(node: string): number {
    return this.#heads.get(node)?.doubt ?? 0;
  }

  /** This node takes part from now on. */
  takePart(): void {
    this.#taking = true;
    this.#postHead();
  }

  /** Where this node can answer. */
  setReach({ answers, interfaces }: Reach): void {
    this.#answers = answers;
    for (const key of [...this.#board.of(this.#node).keys()]) {
      const name = interfaceOf(key);
      if (name !== undefined && !interfaces.has(name)) this.#board.post(key, new Uint8Array());
    }
    for (const [name, subnets] of interfaces) this.#board.post(interfaceKey(name), encodeSubnets(subnets));
    this.#reaches.delete(this.#node);
    this.#postHead();
  }

  /** This node announces the address, and claims it. */
  claim(address: Address): void {
    if (this.#claims.has(this.#node, address)) return;
    const page = pageOf(address);
    this.#claims.add(this.#node, page, address);
    this.#changedPages.add(page);
  }

  release(address: Address): void {
    if (!this.#claims.has(this.#node, address)) return;
    const page = pageOf(address);
    this.#claims.remove(this.#node, page, address);
    this.#changedPages.add(page);
  }

  /**
   * How much this node has to doubt its own view of the others, 0 to 65535: of two that claim one address, the one with less doubt keeps
   * it. It is told when it makes a difference: with the next claim, or when the others have to hear of this node anew.
   */
  setDoubt(doubt: number): void {
    this.#doubt = doubt;
    if (doubt === 0) this.#postHead();
  }

  /** This node's in the ring. It is greater than before when others may have taken this node for gone. */
  setIncarnation(incarnation: number): void {
    if (incarnation === this.#incarnation) return;
    this.#incarnation = incarnation;
    this.#postHead();
  }

  /** A node failed. What it said does not hold until it has joined again. */
  failed(node: string): void {
    this.#since.set(node, Infinity);
    this.#heads.delete(node);
  }

  /** A node joined, perhaps again: what it says as this incarnation or a later one holds. */
  joined(node: string, incarnation: number): Changes {
    this.#since.set(node, incarnation);
    const head = this.#board.of(node).get(headKey);
    const touched = head === undefined ? [] : this.#setHead(head);
    if (touched === undefined) this.#reaches.delete(node);
    return { nodes: touched === undefined, addresses: touched ?? [] };
  }

  /** A node is gone for good, or has said that it goes. */
  forget(node: string): void {
    this.#claims.clear(node);
    this.#board.forget(node);
    this.#heads.delete(node);
    this.#reaches.delete(node);
    this.#since.delete(node);
  }

  /** Takes in what another node sent: what it reports of itself, and what it has heard from others. */
  merge(payload: Uint8Array): Changes {
    const addresses = new Map<string, Address>();
    let nodes = false;
    for (const notice of this.#board.merge(payload)) {
      const touched = isPage(notice.key) ? this.#setPage(notice) : notice.key === headKey ? this.#setHead(notice) : undefined;
      for (const address of touched ?? []) addresses.set(address.toString(), address);
      if (touched === undefined) {
        this.#reaches.delete(notice.writer);
        nodes = true;
      }
    }
    return { nodes, addresses: [...addresses.values()] };
  }

  /** What to send to the others since the last call. */
  takeNews(): ReturnType<Board["takeNews"]> {
    this.#postPages();
    return this.#board.takeNews();
  }

  /** Addresses whose claimants are to be compared anew since the last call, because this node has told its doubt. */
  takeDoubted(): readonly Address[] {
    const doubted = this.#doubted;
    this.#doubted = [];
    return doubted;
  }

  /**
   * All that is known of these nodes and of this one, to send to another. Also of those that failed: the other may be one of them, which
   * has started again and has to outbid what it said before.
   */
  state(nodes: Iterable<string>): Uint8Array {
    const failed = [...this.#since].filter(([, since]) => since === Infinity).map(([node]) => node);
    return this.#board.state([...nodes, ...failed]);
  }

  #setPage({ writer, key, value }: Notice): Address[] {
    return this.#claims.set(writer, key, decodePage(key, value));
  }

  /** @returns what is to be compared anew; undefined when another thing than the doubt changed */
  #setHead({ writer, value }: Notice): Address[] | undefined {
    const before = this.#heads.get(writer);
    const said = decodeHead(value);
    const now = said !== undefined && said.incarnation >= (this.#since.get(writer) ?? 0) ? said : undefined;
    if (now === undefined) this.#heads.delete(writer);
    else this.#heads.set(writer, now);
    if (before?.answers !== now?.answers) return undefined;
    if (before?.doubt === now?.doubt) return [];
    return this.#contested(writer);
  }

  /** What a node claims that others claim as well. */
  #contested(node: string): Address[] {
    return [...this.#claims.by(node)].filter((address) => this.#claims.of(address.toString()).length > 1);
  }

  #postHead(): void {
    if (!this.#taking) return;
    const head = { answers: this.#answers, doubt: this.#doubt, incarnation: this.#incarnation };
    if (this.doubt(this.#node) !== this.#doubt) this.#doubted = this.#contested(this.#node);
    this.#heads.set(this.#node, head);
    this.#board.post(headKey, encodeHead(head));
  }

  #postPages(): void {
    if (this.#changedPages.size === 0) return;
    this.#postHead();
    for (const page of this.#changedPages) this.#board.post(page, encodePage(this.#claims.page(this.#node, page).values()));
    this.#changedPages.clear();
  }
}
