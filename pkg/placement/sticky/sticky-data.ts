import type { Millis } from "#pkg/clock";
import type { Address } from "#pkg/net";
import { StickyPace } from "./sticky-pace.ts";
import { isFollower, type Unit } from "./sticky-unit.ts";

/** Everything that `StickyOwners` knows, except others' gossip. */
export interface StickyData {
  /** Nodes are to have the same number of addresses, or one more. */
  readonly isEven: boolean;
  readonly pace: StickyPace;
  readonly units: Map<string, Unit>; // address -> unit
  readonly open: Set<Unit>; // those without a keeper
  readonly kept: Map<string, Set<Unit>>; // node -> what it keeps and does not go with another address
  readonly firsts: Set<Unit>; // those that go with no other address
  readonly followers: Map<string, Set<Unit>>; // address -> others that go with it
  readonly apart: Set<Unit>; // those with `apartSince`
  readonly repeated: Set<Unit>; // those with `repeatAt`
  regained: Address[];
  readonly toPull: Set<string>; // nodes
  readonly pulledAt: Map<string, Millis>; // node -> when it was last among these
  isSettled: boolean;
  nextDueAt: Millis;
}

export function newStickyData(isEven = false): StickyData {
  return {
    isEven,
    pace: new StickyPace(),
    units: new Map(),
    open: new Set(),
    kept: new Map(),
    firsts: new Set(),
    followers: new Map(),
    apart: new Set(),
    repeated: new Set(),
    regained: [],
    toPull: new Set(),
    pulledAt: new Map(),
    isSettled: true,
    nextDueAt: Infinity,
  };
}

/** Puts the unit where its work is found again. @param node this one */
export function index(at: StickyData, node: string, unit: Unit, now: Millis): void {
  at.units.set(unit.key, unit);
  at.isSettled = false;
  if (isFollower(unit)) addTo(at.followers, unit.first, unit);
  else at.firsts.add(unit);
  if (unit.keeper === undefined) at.open.add(unit);
  else if (!isFollower(unit)) addTo(at.kept, unit.keeper, unit);
  if (unit.repeatAt !== Infinity) at.repeated.add(unit);
  watchApart(at, node, unit, now);
  for (const follower of at.followers.get(unit.key) ?? []) watchApart(at, node, follower, now);
}

/** Takes the unit out of all sets, before it changes. */
export function unindex(at: StickyData, unit: Unit): void {
  at.open.delete(unit);
  at.firsts.delete(unit);
  at.repeated.delete(unit);
  at.apart.delete(unit);
  if (unit.keeper !== undefined) at.kept.get(unit.keeper)?.delete(unit);
  const followers = at.followers.get(unit.first);
  followers?.delete(unit);
  if (followers?.size === 0) at.followers.delete(unit.first);
}

/** Not given away before all speakers see the same in the API: else two addresses could each go to where the other one was. */
function watchApart(at: StickyData, node: string, unit: Unit, now: Millis): void {
  const isApart = unit.keeper === node && (isSplit(at, node, unit) || !unit.preferred.includes(node));
  unit.apartSince = isApart ? Math.min(unit.apartSince, now) : Infinity;
  if (isApart) at.apart.add(unit);
  else at.apart.delete(unit);
}

/** Whether another node than this one, which may have the address too, keeps the address that it goes with. */
export function isSplit(at: StickyData, node: string, unit: Unit): boolean {
  const first = isFollower(unit) ? at.units.get(unit.first)?.keeper : undefined;
  return first !== undefined && first !== node && unit.preferred.includes(first);
}

function addTo(sets: Map<string, Set<Unit>>, key: string, unit: Unit): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([unit]));
  else set.add(unit);
}
