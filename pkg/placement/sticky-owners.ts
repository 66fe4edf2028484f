import type { GossipState } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import { compareRank, rank } from "./election.ts";

/** While nodes come and go a node may have so many shares. One that has outlived half of the others has just two. */
const maxShares = 2;

/** How `settle` goes about it. */
export type RebalancePolicy =
  /** Leaves alone what another node has had, which is about to claim it, and what may go to nodes that are about to take part. */
  | "hold"
  /** Gives away what this node has beyond two shares. */
  | "limit"
  /** The nodes have been the same for long: gives away what this node has beyond its share and one more. */
  | "even";

interface Unit {
  readonly address: Address;
  /** Those that take part. */
  readonly candidates: readonly string[];
  /** There are others, which do not take part yet. */
  readonly awaitsMore: boolean;
  readonly owner: string | undefined;
  /** By the owner. */
  readonly claimed: boolean;
}

/**
 * Who announces the addresses that stay where they are. The owner of an address claims it, and all leave it that as long as it is a
 * candidate. Of several claimants, as there are after a cut has healed, the one that has to doubt its view least has it; among equals
 * the lowest rank. What nobody claims goes to the candidate of the lowest rank that has less than its share: n addresses in all, divided
 * by the address's candidates, rounded up. That depends on nothing but claims and candidates, so that all speakers that know the same
 * agree; and as long as the claims of one node are heard together, hearing of some changes nothing about the others. Nodes that come
 * back take nothing. A node gives away what it has too much of, at once beyond two shares, and beyond its share and one more when the
 * nodes have been the same for long: it withdraws its claim, and announces the address until it hears of the next one's.
 */
export class StickyOwners {
  readonly #node: string;
  readonly #reports: Pick<GossipState, "owners" | "isParticipating" | "viewUncertainty" | "own" | "release">;
  readonly #units = new Map<string, Unit>(); // address -> unit
  readonly #open = new Set<string>(); // Addresses that no candidate claims.
  readonly #held = new Map<string, Set<string>>(); // node -> addresses that it has by claims
  #taking = new WeakMap<readonly string[], readonly string[]>(); // candidates -> those that take part
  #changed = false; // Since it was settled.
  #policy: RebalancePolicy = "limit"; // In which it was settled last.

  /** @param node this one, which claims what comes to it */
  constructor(node: string, reports: Pick<GossipState, "owners" | "isParticipating" | "viewUncertainty" | "own" | "release">) {
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
    const known = this.#units.get(key);
    const candidates = all.length === 0 ? [] : this.#takingPart(all);
    const awaitsMore = candidates.length < all.length;
    const claimant = this.#strongest(key, candidates);
    if (known !== undefined && isSame(known, candidates, awaitsMore, claimant)) return known.owner;
    this.remove(address);
    this.#changed = true;
    if (all.length === 0) return undefined;
    const hadByHash = known === undefined && before === this.#node && claimant === undefined && candidates.includes(before);
    if (hadByHash) this.#reports.own(address); // It is not to move for staying.
    const claiming = hadByHash ? before : claimant;
    const owner = claiming ?? candidates.find((node) => node === before);
    this.#set(key, { address, candidates, awaitsMore, owner, claimed: claiming !== undefined });
    return owner;
  }

  /** The address is placed by another rule, or not at all. */
  remove(address: Address): void {
    const key = address.toString();
    const unit = this.#units.get(key);
    if (unit === undefined) return;
    this.#changed = true;
    if (unit.owner !== undefined) this.#held.get(unit.owner)?.delete(key);
    this.#units.delete(key);
    this.#open.delete(key);
  }

  /** This node announces the address until the next one claims it, and claims it no longer. */
  isGivenAway(address: Address): boolean {
    const unit = this.#units.get(address.toString());
    return unit !== undefined && unit.owner === this.#node && !unit.claimed;
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
   * @returns the addresses with another owner than before
   */
  settle(policy: RebalancePolicy): Address[] {
    if (!this.#changed && policy === this.#policy) return [];
    this.#changed = false;
    this.#policy = policy;
    this.#giveAway(policy);
    const units = [...this.#open].flatMap((key) => this.#units.get(key) ?? []);
    units.sort((a, b) => a.address.compare(b.address));
    const held = new Map([...this.#held].map(([node, { size }]) => [node, size]));
    const changed: Address[] = [];
    for (const unit of units) {
      if (policy === "hold" && (unit.owner === undefined ? unit.awaitsMore : unit.owner !== this.#node)) continue;
      const owner = this.#choose(unit, held);
      held.set(owner, (held.get(owner) ?? 0) + 1);
      const claimed = owner === this.#node;
      if (claimed) this.#reports.own(unit.address);
      else if (unit.owner === this.#node) continue; // It answers until the other one does.
      if (owner !== unit.owner) changed.push(unit.address);
      this.#set(unit.address.toString(), { ...unit, owner, claimed });
    }
    return changed;
  }

  /** What this node is meant to have least goes first. Others have room: they have less than one share on average. */
  #giveAway(policy: RebalancePolicy): void {
    const own = this.#held.get(this.#node);
    if (own === undefined) return;
    const isTooMuch = ({ candidates }: Unit) => {
      const share = this.#share(candidates);
      return own.size > (policy === "even" ? share + 1 : maxShares * share);
    };
    const ranked: { readonly unit: Unit; readonly rank: number }[] = [];
    for (const key of own) {
      const unit = this.#units.get(key);
      if (unit !== undefined && isTooMuch(unit)) ranked.push({ unit, rank: rank(this.#node, key) });
    }
    for (const { unit } of ranked.sort((a, b) => b.rank - a.rank)) {
      if (!isTooMuch(unit)) continue;
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
    const claimants = this.#reports.owners(address).filter((node) => candidates.includes(node));
    if (claimants.length < 2) return claimants[0];
    const doubt = (node: string) => this.#reports.viewUncertainty(node);
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
    const some = all.filter((node) => this.#reports.isParticipating(node));
    const taking = some.length === 0 || some.length === all.length ? all : some;
    this.#taking.set(all, taking);
    return taking;
  }
}

/** Nothing that the choice depends on has changed for the unit, so that what was settled stands. */
function isSame(unit: Unit, candidates: readonly string[], awaitsMore: boolean, claimant: string | undefined): boolean {
  if ((unit.claimed ? unit.owner : undefined) !== claimant || unit.awaitsMore !== awaitsMore) return false;
  const { candidates: before } = unit;
  return (
    before === candidates || (before.length === candidates.length && before.every((node, index) => node === candidates[index]))
  );
}
