import type { Address } from "#pkg/net";
import { compareRank, rank } from "./rank.ts";
import type { Reports } from "./reports.ts";

/** A node gives away what it has beyond so many shares. One that has outlived half of the others has just two. */
const mostShares = 2;

interface Unit {
  readonly address: Address;
  /** Those that take part. */
  readonly candidates: readonly string[];
  /** There are others, which do not take part yet. */
  readonly awaitsMore: boolean;
  readonly owner: string | undefined;
  readonly claimed: boolean;
}

/**
 * Who announces the addresses that stay where they are. The owner of an address claims it, and all leave it that as long as it is a
 * candidate. Of several claimants, as there are after a cut has healed, the one that has to doubt its view least has it; among equals
 * the lowest rank. What nobody claims goes to the candidate of the lowest rank that has less than its share: n addresses in all, divided
 * by the address's candidates, rounded up. That depends on nothing but claims and candidates, so that all speakers that know the same
 * agree; and as long as the claims of one node are heard together, hearing of some changes nothing about the others. Nodes that come
 * back take nothing, but where most had been gone: a node gives away what it has beyond two shares.
 */
export class StickyOwners {
  readonly #node: string;
  readonly #reports: Pick<Reports, "claimants" | "takesPart" | "doubt" | "claim" | "release">;
  readonly #units = new Map<string, Unit>(); // address -> unit
  readonly #open = new Set<string>(); // Addresses that no candidate claims.
  readonly #held = new Map<string, Set<string>>(); // node -> addresses that it has by claims
  #taking = new WeakMap<readonly string[], readonly string[]>(); // candidates -> those that take part
  #changed = false; // Since it was settled.

  /** @param node this one, which claims what comes to it */
  constructor(node: string, reports: Pick<Reports, "claimants" | "takesPart" | "doubt" | "claim" | "release">) {
    this.#node = node;
    this.#reports = reports;
  }

  /** Other nodes take part than before; every address is about to be placed again. */
  nodesChanged(): void {
    this.#taking = new WeakMap();
  }

  /**
   * @param before who had the address until now, by this rule or another one
   * @returns the owner; of what nobody claims the one that had it, as long as it is a candidate, until `settle`
   */
  place(address: Address, all: readonly string[], before: string | undefined): string | undefined {
    const key = address.toString();
    const isNew = !this.#units.has(key);
    this.remove(address); // And it is settled anew.
    if (all.length === 0) return undefined;
    const candidates = this.#takingPart(all);
    if (isNew && before === this.#node && candidates.includes(before) && this.#strongest(key, candidates) === undefined)
      this.#reports.claim(address); // It has been chosen by hash until now, and is not to move for staying.
    const claimant = this.#strongest(key, candidates);
    const owner = claimant ?? candidates.find((node) => node === before);
    const awaitsMore = candidates.length < all.length;
    this.#set(key, { address, candidates, awaitsMore, owner, claimed: claimant !== undefined });
    return owner;
  }

  /** The address is placed by another rule, or not at all. */
  remove(address: Address): void {
    const key = address.toString();
    const unit = this.#units.get(key);
    this.#changed = true;
    if (unit?.owner !== undefined) this.#held.get(unit.owner)?.delete(key);
    this.#units.delete(key);
    this.#open.delete(key);
  }

  /**
   * The owner of an address that goes with another one: that one's owner where it may, else the candidate of the lowest rank; undefined
   * while that is not chosen.
   */
  follow(first: Address, all: readonly string[]): string | undefined {
    const key = first.toString();
    const unit = this.#units.get(key);
    if (unit !== undefined && (unit.owner === undefined || all.includes(unit.owner))) return unit.owner;
    return this.#takingPart(all).toSorted((a, b) => compareRank(key, a, b))[0];
  }

  /**
   * Gives away what is too much, chooses for all that nobody claims, and claims what comes to this node.
   * @param patient leaves alone what another node has had, which is about to claim it, and what may go to nodes that are about to take part
   * @returns the addresses with another owner than before
   */
  settle(patient: boolean): Address[] {
    if (!this.#changed) return [];
    this.#changed = false;
    this.#giveAway();
    const units = [...this.#open].flatMap((key) => this.#units.get(key) ?? []);
    units.sort((a, b) => a.address.compare(b.address));
    const held = new Map([...this.#held].map(([node, { size }]) => [node, size]));
    const changed: Address[] = [];
    for (const unit of units) {
      if (patient && (unit.owner === undefined ? unit.awaitsMore : unit.owner !== this.#node)) {
        this.#changed = true; // As long as that is left.
        continue;
      }
      const owner = this.#choose(unit, held);
      held.set(owner, (held.get(owner) ?? 0) + 1);
      if (owner !== unit.owner) changed.push(unit.address);
      const claimed = owner === this.#node;
      if (claimed) this.#reports.claim(unit.address);
      this.#set(unit.address.toString(), { ...unit, owner, claimed });
    }
    return changed;
  }

  /** What this node is meant to have least goes first. Others have room: they have less than one share on average. */
  #giveAway(): void {
    const own = this.#held.get(this.#node);
    if (own === undefined) return;
    const units = [...own].flatMap((key) => this.#units.get(key) ?? []);
    const tooMany = units.filter(({ candidates }) => own.size > mostShares * this.#share(candidates));
    const ranked = tooMany.map((unit) => ({ unit, rank: rank(this.#node, unit.address.toString()) }));
    for (const { unit } of ranked.sort((a, b) => b.rank - a.rank)) {
      if (own.size <= mostShares * this.#share(unit.candidates)) continue;
      this.#reports.release(unit.address);
      this.#set(unit.address.toString(), { ...unit, claimed: false });
    }
  }

  /** There is one with less than its share: else they had more than there are. */
  #choose({ address, candidates }: Unit, held: ReadonlyMap<string, number>): string {
    const key = address.toString();
    const share = this.#share(candidates);
    let best: { readonly node: string; readonly rank: number } | undefined;
    for (const node of candidates) {
      if ((held.get(node) ?? 0) >= share) continue;
      const found = { node, rank: rank(node, key) };
      if (best === undefined || found.rank < best.rank || (found.rank === best.rank && node < best.node)) best = found;
    }
    if (best === undefined) throw new Error(`Cannot choose an owner of ${key}: each of ${candidates.length} has its share`);
    return best.node;
  }

  #share(candidates: readonly string[]): number {
    return Math.ceil(this.#units.size / candidates.length);
  }

  #strongest(address: string, candidates: readonly string[]): string | undefined {
    const claimants = this.#reports.claimants(address).filter((node) => candidates.includes(node));
    if (claimants.length < 2) return claimants[0];
    const doubt = (node: string) => this.#reports.doubt(node);
    return claimants.sort((a, b) => doubt(a) - doubt(b) || compareRank(address, a, b))[0];
  }

  #set(key: string, unit: Unit): void {
    const before = this.#units.get(key);
    if (before?.owner !== undefined) this.#held.get(before.owner)?.delete(key);
    this.#units.set(key, unit);
    if (!unit.claimed || unit.owner === undefined) {
      this.#open.add(key);
      return;
    }
    this.#open.delete(key);
    const held = this.#held.get(unit.owner);
    if (held === undefined) this.#held.set(unit.owner, new Set([key]));
    else held.add(key);
  }

  /** Those that take part; where none does, one of them is about to. */
  #takingPart(all: readonly string[]): readonly string[] {
    const known = this.#taking.get(all);
    if (known !== undefined) return known;
    const some = all.filter((node) => this.#reports.takesPart(node));
    const taking = some.length === 0 || some.length === all.length ? all : some;
    this.#taking.set(all, taking);
    return taking;
  }
}
