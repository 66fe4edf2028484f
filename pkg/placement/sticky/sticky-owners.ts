import type { Millis } from "#pkg/clock";
import { areSameTexts } from "#pkg/collections";
import type { Address } from "#pkg/net";
import { rank } from "../election.ts";
import { mostPreferred, type PoolNodes } from "../eligibility.ts";
import { choose, graceMs, keeperOf, type OwnershipGossip, restShare, shareOf, waitMs } from "./sticky-choice.ts";
import { index, isSplit, newStickyData, type StickyData, unindex } from "./sticky-data.ts";
import { StickyPace } from "./sticky-pace.ts";
import { firstRepeatMs, isFollower, newUnit, type Unit } from "./sticky-unit.ts";

/** An address of a pool whose addresses stay where they are. */
export interface StickyAddress {
  readonly address: Address;
  /** The address that it goes with, if it may: the first one of its Services, or itself. */
  readonly first: Address;
  /** Nodes that may announce it. */
  readonly candidates: readonly string[];
  readonly weights: PoolNodes["weights"];
  /** The node that announced it until now, by this rule or another one. */
  readonly before: string | undefined;
}

// One of a hundred entries of gossip misses a node here or there: the node asks the other one for its entries before the other one's turn
// is over.
const pullMs: Millis = 350;
const pullEveryMs: Millis = 1_000;
const maxRepeatMs: Millis = 4_000;
// A cut in one direction may hide from two nodes what each of them does.
const compareMs: Millis = 30_000;
/** While nodes come and go a node may have this many shares. A node that has outlived half of the others has just two. */
const maxShares = 2;

/**
 * Chooses the nodes that announce addresses which stay where they are. The node that announces an address owns it and gossips that, and all
 * leave it the address as long as it is a candidate. The other rules are for speakers that do not know the same:
 *
 * - Among several owners, as after a healed cut, the one with the most certain view keeps the address; among equals the one of the lowest
 *   rank. The others release it, and the one that keeps it reports that again until they have.
 * - An owner that is no candidate releases the address. If others know sooner that it is no candidate, they give it time to do so.
 * - One candidate takes an address that nobody owns, the same by all that know the same: the node with the first address of the Service,
 *   else, among those that the pool prefers most, the one of the lowest rank with less than its share (n addresses in all, divided by these
 *   nodes, rounded up). If that candidate does not take it, the next ones do in turn: so no address stays unannounced because each speaker
 *   expects another one to take it.
 * - Nodes that come back take nothing. A node gives away what it has too much of, at once beyond two shares, and beyond its share and one
 *   more when the nodes have been the same for long, then also what other nodes are preferred for, and a second address of a Service whose
 *   first one another node keeps. It releases such an address, and announces it until another node owns it, or owns it again when none
 *   does.
 *
 * `isEven` is for few addresses that are to be spread evenly: of those that may take one that nobody owns, the node with the fewest does; and
 * when the nodes have been the same for long, each has a share or one less.
 */
export class StickyOwners {
  readonly #node: string;
  readonly #gossip: OwnershipGossip;
  readonly #at: StickyData;
  #participants = new WeakMap<readonly string[], readonly string[]>(); // candidates -> those that participate

  /** @param node this one */
  static even(node: string, gossip: OwnershipGossip): StickyOwners {
    return new StickyOwners(node, gossip, newStickyData(true));
  }

  /** @param node this one */
  constructor(node: string, gossip: OwnershipGossip, at = newStickyData()) {
    this.#node = node;
    this.#gossip = gossip;
    this.#at = at;
  }

  save() {
    return { node: this.#node, gossip: this.#gossip, at: this.#at };
  }

  static restore({ node, gossip, at }: ReturnType<StickyOwners["save"]>): StickyOwners {
    return new StickyOwners(node, gossip, at);
  }

  /** Other nodes participate than before; every address is about to be placed again. */
  nodesChanged(now: Millis): void {
    this.#participants = new WeakMap();
    for (const [node, at] of this.#at.pulledAt) if (now >= at + pullEveryMs) this.#at.pulledAt.delete(node);
    this.#at.pace.nodesChanged(now);
    this.#at.isSettled = false;
  }

  /** Gives other speakers time to own what they have, and to participate. */
  hold(now: Millis): void {
    this.#at.pace.hold(now);
  }

  /** When `timer` has something to do. */
  get nextDeadline(): Millis {
    return Math.min(this.#at.nextDueAt, this.#at.pace.nextDeadline);
  }

  /** `settle` does the due work. */
  timer(now: Millis): void {
    const isDue = now >= this.#at.nextDueAt;
    if (isDue) this.#at.nextDueAt = Infinity; // `settle` finds the due work and the next deadline.
    if (this.#at.pace.timer(now) || isDue) this.#at.isSettled = false;
  }

  /** Whether `settle` has something to do. */
  get isSettled(): boolean {
    return this.#at.isSettled;
  }

  /** @returns who announces it; while nobody owns it the node that had it, as long as it is a candidate, until `settle` */
  place({ address, first, candidates: all, weights, before }: StickyAddress, now: Millis): string | undefined {
    if (all.length === 0) {
      this.remove(address);
      return undefined;
    }
    const key = address.toString();
    const known = this.#at.units.get(key);
    const candidates = this.#participating(all);
    const owners = this.#gossip.owners(key);
    const firstKey = first.equals(address) ? key : first.toString();
    const preferred = mostPreferred(candidates, weights);
    const awaitsMore = candidates.length < all.length;
    const claimFor = known?.claimFor;
    if (known !== undefined && claimFor === undefined && known.first === firstKey && known.awaitsMore === awaitsMore)
      if (
        areSameTexts(known.candidates, candidates) &&
        areSameTexts(known.preferred, preferred) &&
        areSameTexts(known.owners, owners)
      )
        if (known.keeper === keeperOf(this.#gossip, firstKey, candidates, owners)) return known.announcer;
    const unit = known ?? newUnit(address, key);
    unindex(this.#at, unit);
    Object.assign(unit, { first: firstKey, candidates, preferred, awaitsMore, owners, claimFor: undefined });
    unit.keeper = keeperOf(this.#gossip, firstKey, candidates, owners);
    const hadElsewise = known === undefined && unit.keeper === undefined && before === this.#node && candidates.includes(before);
    if (hadElsewise)
      this.#own(unit); // It is not to move for staying.
    else if (claimFor !== undefined && unit.keeper === undefined && candidates.includes(this.#node))
      this.#take(unit, claimFor, now);
    else if (unit.keeper !== this.#node && owners.includes(this.#node)) {
      this.#release(unit);
      this.#compare(unit, unit.keeper, now);
    }
    this.#keeperChanged(unit, known === undefined ? before : known.announcer, now);
    index(this.#at, this.#node, unit, now);
    return unit.announcer;
  }

  /** The address is not placed at all. This node does not own it. */
  remove(address: Address): void {
    this.#gossip.release(address);
    this.forget(address);
  }

  /** The address is placed by another rule, which decides whether this node owns it. */
  forget(address: Address): void {
    const unit = this.#at.units.get(address.toString());
    if (unit === undefined) return;
    unindex(this.#at, unit);
    this.#at.units.delete(unit.key);
    this.#at.isSettled = false;
  }

  /**
   * Decides what this node takes, gives the excess away, and does due work. To be called when all is placed: which nodes have room for more
   * depends on that.
   * @returns the addresses to be placed again. First those that this node takes: it owns each from when it is placed and answered, so that
   * the one that gave it away goes on until then. After them those that are expected at another node than before
   */
  settle(now: Millis): Address[] {
    if (this.#at.isSettled) return [];
    this.#at.nextDueAt = Infinity;
    if (this.#at.pace.inForce !== "hold") this.#giveAway(now);
    for (const unit of [...this.#at.apart])
      if (now >= unit.apartSince + graceMs && this.#mayJoin(unit)) this.#giveOneAway(unit, now);
    for (const unit of this.#at.repeated) if (now >= unit.repeatAt) this.#repeat(unit, now);
    const changed = this.#takeOpen(now);
    for (const unit of this.#at.apart) if (!unit.isContested && this.#mayJoin(unit)) this.#due(unit.apartSince + graceMs);
    for (const { repeatAt } of this.#at.repeated) this.#due(repeatAt);
    this.#at.isSettled = true;
    return changed;
  }

  /** Addresses that another node owned as well until it released them: hosts may have believed that one last. */
  takeRegained(): readonly Address[] {
    const regained = this.#at.regained;
    this.#at.regained = [];
    return regained;
  }

  /** Nodes whose gossip may not have arrived here: they are expected to own what nobody seems to own, or the other way round. */
  takePulls(): readonly string[] {
    const nodes = [...this.#at.toPull];
    this.#at.toPull.clear();
    return nodes;
  }

  /** The nodes that take the addresses which this node keeps once it is gone, by address: as `settle` chooses them there. */
  heirs(): ReadonlyMap<string, string> {
    const own = this.#at.units.values().filter(({ keeper }) => keeper === this.#node);
    const held = this.#held();
    const heirs = new Map<string, string>();
    for (const unit of inTurn(own)) {
      const without = (nodes: readonly string[]) => nodes.filter((node) => node !== this.#node);
      const preferred = without(unit.preferred);
      const heir = choose(
        this.#at,
        { ...unit, preferred: preferred.length > 0 ? preferred : without(unit.candidates) },
        held,
        heirs.get(unit.first),
      );
      if (heir === undefined) continue;
      heirs.set(unit.key, heir);
      if (!isFollower(unit)) held.set(heir, (held.get(heir) ?? 0) + 1);
    }
    return heirs;
  }

  /** How many addresses each node has. */
  #held(): Map<string, number> {
    return new Map([...this.#at.kept].map(([node, { size }]) => [node, size]));
  }

  #takeOpen(now: Millis): Address[] {
    const units = inTurn(this.#at.open);
    const held = this.#held();
    const chosenFor = new Map<string, string>(); // address -> who is to have it
    const [claimed, changed]: [Address[], Address[]] = [[], []];
    for (const unit of units) {
      const chosen = choose(this.#at, unit, held, chosenFor.get(unit.first));
      if (chosen === undefined) continue;
      chosenFor.set(unit.key, chosen);
      if (!isFollower(unit)) held.set(chosen, (held.get(chosen) ?? 0) + 1);
      if (this.#isHeld(unit)) continue;
      const before = unit.announcer;
      const takeAt = unit.candidates.includes(this.#node) ? unit.openSince + waitMs(unit, this.#node, chosen) : Infinity;
      if (now >= takeAt) {
        unit.claimFor = chosen;
        claimed.push(unit.address);
        continue;
      }
      unindex(this.#at, unit);
      if (!unit.isGivenAway) unit.announcer = chosen === this.#node ? undefined : chosen;
      this.#keeperChanged(unit, unit.announcer, now);
      index(this.#at, this.#node, unit, now);
      this.#await(unit, chosen, takeAt, now);
      if (unit.announcer !== before) changed.push(unit.address);
    }
    return [...claimed, ...changed];
  }

  #take(unit: Unit, chosen: string, now: Millis): void {
    this.#own(unit);
    if (chosen !== this.#node) this.#compare(unit, chosen, now);
  }

  /** Reports what it did with the address for some time again, and pulls what the other one did. */
  #compare(unit: Unit, counterpart: string | undefined, now: Millis): void {
    if (counterpart === undefined) return;
    unit.counterpart = counterpart;
    unit.compareUntil = now + compareMs;
    unit.repeatMs = firstRepeatMs;
    unit.repeatAt = now + firstRepeatMs;
  }

  #await({ owners: [owner], isGivenAway, openSince }: Unit, chosen: string, takeAt: Millis, now: Millis): void {
    const other = owner ?? chosen;
    // Until this node knows that another one has the address that it gave away, both announce it.
    const pullAt = isGivenAway ? openSince + pullMs : takeAt - pullMs;
    const isDue = now >= pullAt;
    const again = isGivenAway ? now + pullEveryMs : Infinity;
    this.#due(other === this.#node ? takeAt : isDue ? Math.min(takeAt, again) : pullAt);
    if (isDue) this.#pull(other, now);
  }

  #pull(node: string, now: Millis): void {
    if (node === this.#node || now < (this.#at.pulledAt.get(node) ?? -Infinity) + pullEveryMs) return;
    this.#at.toPull.add(node);
    this.#at.pulledAt.set(node, now);
  }

  /** Whether others are still given time: the one that had it to own it, or those that do not participate yet to do so. */
  #isHeld({ announcer, awaitsMore, wasKept }: Unit): boolean {
    if (this.#at.pace.inForce !== "hold" || wasKept) return false;
    return announcer === undefined ? awaitsMore : announcer !== this.#node;
  }

  /** What this node is meant to have least goes first. Others have room: they have less than one share on average. */
  #giveAway(now: Millis): void {
    const own = this.#at.kept.get(this.#node);
    if (own === undefined) return;
    // Others give away at the same time: how many each is to keep is seen again when these have been taken.
    if (this.#at.isEven && this.#at.open.values().some(({ isGivenAway }) => isGivenAway)) return;
    const isRested = this.#at.pace.inForce === "even";
    const most = new Map<readonly string[], number>(); // nodes -> how many of the addresses that may be at these this one keeps
    const isTooMuch = ({ preferred }: Unit) => {
      if (!preferred.includes(this.#node)) return false; // It goes to those that are, in its time.
      const max =
        most.get(preferred) ?? (isRested ? restShare(this.#at, this.#node, preferred) : maxShares * shareOf(this.#at, preferred));
      most.set(preferred, max);
      return own.size > max;
    };
    const ranked = [...own].filter(isTooMuch).map((unit) => ({ unit, rank: rank(this.#node, unit.key) }));
    for (const { unit } of ranked.sort((a, b) => b.rank - a.rank)) {
      if (!isTooMuch(unit)) continue;
      this.#giveOneAway(unit, now);
      for (const follower of this.#at.followers.get(unit.key) ?? [])
        if (follower.keeper === this.#node) this.#giveOneAway(follower, now);
    }
  }

  #giveOneAway(unit: Unit, now: Millis): void {
    if (unit.owners.length > 1) return; // First the others release it.
    unindex(this.#at, unit);
    this.#release(unit);
    unit.isGivenAway = true;
    this.#keeperChanged(unit, this.#node, now);
    index(this.#at, this.#node, unit, now);
  }

  #repeat(unit: Unit, now: Millis): void {
    this.#gossip.repeat(unit.address);
    if (now >= unit.compareUntil) unit.counterpart = undefined;
    if (unit.counterpart !== undefined) this.#pull(unit.counterpart, now);
    unit.repeatMs = Math.min(2 * unit.repeatMs, maxRepeatMs);
    unit.repeatAt = unit.isContested || unit.counterpart !== undefined ? now + unit.repeatMs : Infinity;
    if (unit.repeatAt === Infinity) this.#at.repeated.delete(unit);
  }

  #own(unit: Unit): void {
    this.#gossip.own(unit.address);
    unit.owners = [...unit.owners.filter((node) => node !== this.#node), this.#node];
    unit.keeper = this.#node;
  }

  #release(unit: Unit): void {
    this.#gossip.release(unit.address);
    unit.owners = unit.owners.filter((node) => node !== this.#node);
    if (unit.keeper === this.#node) unit.keeper = undefined;
  }

  /** Applies the consequences of the keeper and the owners. @param before the node that announced it until now, or is expected to */
  #keeperChanged(unit: Unit, before: string | undefined, now: Millis): void {
    const { keeper, owners, candidates } = unit;
    const isContested = keeper === this.#node && owners.length > 1;
    if (unit.isContested && keeper === this.#node && !isContested) this.#at.regained.push(unit.address);
    if (isContested && !unit.isContested) {
      unit.repeatMs = firstRepeatMs;
      unit.repeatAt = now + firstRepeatMs;
    } else if (!isContested && unit.counterpart === undefined) unit.repeatAt = Infinity;
    unit.isContested = isContested;
    unit.wasKept ||= keeper !== undefined;
    unit.isGivenAway &&= keeper === undefined && candidates.includes(this.#node);
    unit.openSince = keeper === undefined ? Math.min(unit.openSince, now) : Infinity;
    const mayAnnounce = (node: string) => candidates.includes(node) && (node !== this.#node || unit.isGivenAway);
    unit.announcer = keeper ?? (unit.isGivenAway ? this.#node : before !== undefined && mayAnnounce(before) ? before : undefined);
    this.#due(unit.repeatAt);
  }

  /** A node that came back is not preferred before it has been there for long: else an address went back and forth with it. */
  #mayJoin(unit: Unit): boolean {
    return isSplit(this.#at, this.#node, unit) || this.#at.pace.inForce === "even";
  }

  #due(at: Millis): void {
    this.#at.nextDueAt = Math.min(this.#at.nextDueAt, at);
  }

  /** Nodes that participate; if no node does, one of them is about to. */
  #participating(all: readonly string[]): readonly string[] {
    const known = this.#participants.get(all);
    if (known !== undefined) return known;
    const some = all.filter((node) => this.#gossip.isParticipating(node));
    const participants = some.length === 0 || some.length === all.length ? all : some;
    this.#participants.set(all, participants);
    return participants;
  }
}

/** Classes in a saved `StickyOwners`, without those of gossip. */
export const stickyClasses = { StickyOwners, StickyPace };

/** In the order in which all nodes choose for them. */
function inTurn(units: Iterable<Unit>): Unit[] {
  return [...units].sort((a, b) => Number(isFollower(a)) - Number(isFollower(b)) || a.address.compare(b.address));
}
