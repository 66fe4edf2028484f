import type { Millis } from "#pkg/clock";
import { type Config, type Pool, PoolIndex, type SlotPool, slotPools } from "#pkg/config";
import { Address, type Family, type Prefix } from "#pkg/net";
import {
  type AddressPlacement,
  compareRank,
  eligibleFor,
  type Holder,
  type NextHopPath,
  placeSlot,
  type SlotPaths,
} from "#pkg/placement";
import { nodesOf } from "../members/nodes.ts";
import { reportedAnnouncers } from "../protocols/announcers.ts";
import { ownedPlacement, type SpeakerState } from "../state.ts";
import { stickyRule } from "./sticky.ts";

// Next-hop slots: addresses on layer 2 that pools hold themselves. Routers send packets for Services to them, so that a set of next hops stays
// as it is while nodes come and go. Each slot has an owner, elected, fenced and defended as that of a Service's address.

/** Another configuration is in force. @returns slots of this one and of the one before */
export function setSlots(state: SpeakerState, config: Config): readonly Address[] {
  const before = slotAddresses(state);
  state.slots.pools = slotPools(config);
  state.slots.index = new PoolIndex(state.slots.pools);
  return [...before, ...slotAddresses(state)];
}

/** All slots of the configuration, of all pools. */
export function slotAddresses({ slots }: Pick<SpeakerState, "slots">): readonly Address[] {
  return slots.pools.flatMap((pool) => slotsOf(pool.slots));
}

function slotsOf(prefix: Prefix): readonly Address[] {
  const { family, value } = prefix.first;
  return Array.from({ length: Number(prefix.size) }, (_, index) => new Address(family, value + BigInt(index)));
}

/** Chooses the owner of a slot. @param holders Services that have its address in their status, and may not have it */
export function placeOneSlot(
  state: SpeakerState,
  pool: SlotPool,
  { address, holders, before }: { address: Address; holders: readonly Holder[]; before: AddressPlacement | undefined },
  now: Millis,
): AddressPlacement {
  const rule = stickyRule(state, { address, pool, before }, now);
  const nodes = nodesOf(state, pool);
  const reported = nodes.behind.length === 0 ? undefined : { ...reportedAnnouncers(state, address), undelivering: [] };
  return placeSlot(address, holders, nodes, before, rule, reported);
}

/**
 * The slots that this node gives its routers as next hops for a pool. Its own, and some of others: two nodes advertise each slot, so that its
 * path stays where the owner's session ends before another node owns it. The second one is the same whoever of the others is the owner, and
 * has a session, where any node has. It may be one that does not see the API, where no other does: it may own nothing new, but its routers know
 * the slot. A slot that another host has, or that nobody may own, is advertised by nobody.
 */
export function slotPaths(state: SpeakerState, pool: Pool): SlotPaths {
  const sets = slotPoolsOf(state, pool);
  return new Map(sets.map((set) => [set.slots.family, pathsOf(state, pool, set)]));
}

function pathsOf(state: SpeakerState, pool: Pool, set: SlotPool): readonly NextHopPath[] {
  const { family } = set.slots;
  const carrying = new Map<readonly string[], readonly string[]>(); // nodes -> those with a session, or all without any
  const able = (nodes: readonly string[]) => {
    const found = carrying.get(nodes) ?? withSession(state, pool, family, nodes);
    carrying.set(nodes, found);
    return found;
  };
  return slotsOf(set.slots).flatMap((nextHop, index) => {
    const slot = nextHop.toString();
    const placement = ownedPlacement(state, slot);
    if (placement === undefined || isOccupied(state, nextHop)) return [];
    const { candidates, owner } = placement;
    if (state.announceFor === "all") return owner === undefined ? [] : [{ path: index + 1, nextHop, isOwn: false }];
    const isOwn = owner === state.node;
    const second =
      secondOf(slot, able(candidates), owner) ?? secondOf(slot, able(eligibleFor(nodesOf(state, set), nextHop)), owner);
    return isOwn || second === state.node ? [{ path: index + 1, nextHop, isOwn }] : [];
  });
}

/** The first by rank that is not the owner. */
function secondOf(slot: string, nodes: readonly string[], owner: string | undefined): string | undefined {
  let best: string | undefined;
  for (const node of nodes) if (node !== owner && (best === undefined || compareRank(slot, node, best) < 0)) best = node;
  return best;
}

function withSession(state: SpeakerState, { name }: Pool, family: Family, nodes: readonly string[]): readonly string[] {
  const { node: self, bgp, members } = state;
  const carrying = nodes.filter((node) => {
    const delivery = node === self ? bgp.deliveries.get(name) : members.gossip?.deliveries(node, name);
    return delivery?.[family] === "carried";
  });
  return carrying.length > 0 ? carrying : nodes;
}

/** Another host has it, as the quarantine says or as this node has just found. */
export function isOccupied({ conflicts }: SpeakerState, slot: Address): boolean {
  const key = slot.toString();
  return conflicts.occupants.has(key) || conflicts.defended.get(key)?.defense.stage === "occupied";
}

/** Something that decides which node advertises slots is different: they are looked at when all is placed. */
export function touchSlots({ slots, agenda }: SpeakerState): void {
  if (slots.pools.length === 0) return;
  slots.isTouched = true;
  agenda.isSettled = false;
}

/** The sets of slots that a pool names. */
export function slotPoolsOf({ slots }: Pick<SpeakerState, "slots">, pool: Pool): readonly SlotPool[] {
  return slots.pools.filter((set) => pool.nextHopSlots.some((prefix) => `${prefix}` === `${set.slots}`));
}

/** How many slots of a set each node owns, those that another host has, and those that no node may own, in their order. */
export function slotCounts(state: SpeakerState, set: SlotPool) {
  const owned = new Map<string, number>(); // node -> slots
  const occupied: Address[] = [];
  const unowned: Address[] = [];
  for (const slot of slotsOf(set.slots)) {
    const placement = ownedPlacement(state, slot.toString());
    if (isOccupied(state, slot)) occupied.push(slot);
    else if (placement?.owner !== undefined) owned.set(placement.owner, (owned.get(placement.owner) ?? 0) + 1);
    else if (placement?.slot?.announced === false) unowned.push(slot);
  }
  return { owned, occupied, unowned };
}

/** The slots of a pool that this node answers for. */
export function ownSlots(state: SpeakerState, pool: Pool): readonly Address[] {
  const all = pool.nextHopSlots.flatMap(slotsOf);
  return all.filter((slot) => state.conflicts.defended.get(slot.toString())?.isAnnounced);
}
