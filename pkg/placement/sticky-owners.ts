import type { Address } from "#pkg/net";
import { compareRank, rank } from "./rank.ts";
import type { Reports } from "./reports.ts";

interface Unit {
  readonly address: Address;
  /** Those that take part. */
  readonly candidates: readonly string[];
  readonly owner: string | undefined;
  readonly claimed: boolean;
}

/**
 * Who announces the addresses that stay where they are. The owner of an address claims it, and all leave it that as long as it is a
 * candidate. Of several claimants, as there are after a cut has healed, the one that has to doubt its view least has it; among equals
 * the lowest rank. What nobody claims goes to the candidate of the lowest rank that has less than its share: n addresses in all, divided
 * by the address's candidates, rounded up. That depends on nothing but claims and candidates, so that all speakers that know the same
 * agree; and as long as the claims of one node are heard together, hearing of some changes nothing about the others. Nodes that come
 * back take nothing from the living, whatever those hold by then.
 */
export class StickyOwners {
  readonly #node: string;
  readonly #reports: Pick<Reports, "claimants" | "takesPart" | "doubt" | "claim">;
  readonly #units = new Map<string, Unit>(); // address -> unit
  readonly #open = new Set<string>(); // Addresses that no candidate claims.
  readonly #held = new Map<string, number>(); // node -> how many addresses it has by claims
  #taking = new WeakMap<readonly string[], readonly string[]>(); // candidates -> those that take part

  /** @param node this one, which claims what comes to it */
  constructor(node: string, reports: Pick<Reports, "claimants" | "takesPart" | "doubt" | "claim">) {
    this.#node = node;
    this.#reports = reports;
  }

  /** Other nodes take part than before; every address is about to be placed again. */
  nodesChanged(): void {
    this.#taking = new WeakMap();
  }

  /** @returns the owner; of what nobody claims the one that was chosen last, as long as it is a candidate, until `settle` */
  place(address: Address, all: readonly string[]): string | undefined {
    const key = address.toString();
    const before = this.#units.get(key)?.owner;
    this.remove(address);
    if (all.length === 0) return undefined;
    const candidates = this.#takingPart(all);
    const claimant = this.#strongest(key, candidates);
    const chosen = before !== undefined && candidates.includes(before) ? before : undefined;
    this.#set(key, { address, candidates, owner: claimant ?? chosen, claimed: claimant !== undefined });
    return claimant ?? chosen;
  }

  /** The address is placed by another rule, or not at all. */
  remove(address: Address): void {
    const key = address.toString();
    const unit = this.#units.get(key);
    if (unit?.claimed) this.#count(unit.owner, -1);
    this.#units.delete(key);
    this.#open.delete(key);
  }

  /** The owner of an address that goes with another one: that one's owner where it may, else the candidate of the lowest rank. */
  follow(first: Address, candidates: readonly string[]): string | undefined {
    const owner = this.#units.get(first.toString())?.owner;
    if (owner !== undefined && candidates.includes(owner)) return owner;
    return this.#takingPart(candidates).toSorted((a, b) => compareRank(first.toString(), a, b))[0];
  }

  /** Chooses for all that nobody claims, and claims what comes to this node. @returns the addresses with another owner than before */
  settle(): Address[] {
    const units = [...this.#open].flatMap((key) => this.#units.get(key) ?? []);
    units.sort((a, b) => a.address.compare(b.address));
    const held = new Map(this.#held);
    const changed: Address[] = [];
    for (const unit of units) {
      const owner = this.#choose(unit, held);
      held.set(owner, (held.get(owner) ?? 0) + 1);
      if (owner !== unit.owner) changed.push(unit.address);
      const claimed = owner === this.#node;
      if (claimed) this.#reports.claim(unit.address);
      this.#set(unit.address.toString(), { ...unit, owner, claimed });
    }
    return changed;
  }

  /** There is one with less than its share: else they had more than there are. */
  #choose({ address, candidates }: Unit, held: ReadonlyMap<string, number>): string {
    const key = address.toString();
    const share = Math.ceil(this.#units.size / candidates.length);
    let best: { readonly node: string; readonly rank: number } | undefined;
    for (const node of candidates) {
      if ((held.get(node) ?? 0) >= share) continue;
      const found = { node, rank: rank(node, key) };
      if (best === undefined || found.rank < best.rank || (found.rank === best.rank && node < best.node)) best = found;
    }
    if (best === undefined) throw new Error(`Cannot choose an owner of ${key}: each of ${candidates.length} has its share`);
    return best.node;
  }

  #strongest(address: string, candidates: readonly string[]): string | undefined {
    const claimants = this.#reports.claimants(address).filter((node) => candidates.includes(node));
    return claimants.sort((a, b) => this.#reports.doubt(a) - this.#reports.doubt(b) || compareRank(address, a, b))[0];
  }

  #set(key: string, unit: Unit): void {
    const before = this.#units.get(key);
    if (before?.claimed) this.#count(before.owner, -1);
    this.#units.set(key, unit);
    if (unit.claimed) {
      this.#count(unit.owner, 1);
      this.#open.delete(key);
    } else this.#open.add(key);
  }

  #count(node: string | undefined, by: number): void {
    if (node !== undefined) this.#held.set(node, (this.#held.get(node) ?? 0) + by);
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
