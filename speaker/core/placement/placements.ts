import type { Millis } from "#pkg/clock";
import { isSlotPool, limits, type Pool, type PoolIndex, type Protocol as ProtocolName } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, heeded, isByBgp, type PlacementResult, placeNowhere } from "#pkg/placement";
import type { SpeakerEffect } from "../effects.ts";
import { flushGossip } from "../members/members.ts";
import { isRingLarge, reachabilityChanged } from "../members/nodes.ts";
import { bgp } from "../protocols/bgp.ts";
import { byInterface } from "../protocols/interface.ts";
import { applyOwner, layer2 } from "../protocols/layer2.ts";
import type { Protocol } from "../protocols/protocol.ts";
import { addressesOf, holderKeys, holdersWith } from "../services/services.ts";
import { layer2PoolAt, poolAt, type SpeakerState } from "../state.ts";
import { placeOneSlot, slotAddresses, touchSlots } from "./slots.ts";
import { holdSticky, isStickyUnsettled } from "./sticky.ts";

export const protocols: Readonly<Record<ProtocolName, Protocol>> = { layer2, bgp, interface: byInterface };
const all = Object.values(protocols);
const byName = Object.entries(protocols) as [ProtocolName, Protocol][];

// Some milliseconds. The first elections for 10,000 addresses take long: at a stretch they would delay all else.
const maxAtOnce = 100;
// The node that has an address meanwhile takes it for a conflict when this one still announces it after 2 s.
const maxUntoldMs: Millis = 1_000;
// A turn looks at thousands of nodes before its first placement.
const maxAtOnceInLargeRing = 50;
// Some 10 ms. An election hashes the name of each node.
const maxHashesAtOnce = 20_000;
// Some 10 ms. Each node is looked at for each pool that differs from the others in what it asks of nodes.
const maxNodesAtOnce = 20_000;
// Some 10 ms. An address has a route to each peer, of which a node may have some hundred, and central speakers have a path to each of 64 nodes.
const maxRoutesAtOnce = 2_000;
// With 100 nodes some 10 ms, where each Service has endpoints on all of them.
const maxHoldersAtOnce = limits.holdersOfAddress;

/** Something changed for these addresses: they are to be placed again. */
export function touch({ agenda }: SpeakerState, addresses: Iterable<Address>): void {
  for (const address of addresses) agenda.addresses.set(address.toString(), address);
}

/** The same for all addresses. */
export function touchAll(state: SpeakerState, now: Millis): void {
  holdSticky(state, now);
  state.agenda.isSettled = false;
  touch(state, slotAddresses(state));
  for (const service of state.services.rows.keys()) touch(state, addressesOf(state.services, service));
}

/** The same for those of the addresses that are placed. */
export function touchPlaced(state: SpeakerState, addresses: readonly Address[]): void {
  for (const address of addresses) if (state.placements.has(address.toString())) touch(state, [address]);
}

export function touchPools(state: SpeakerState, pools: readonly Pool[]): void {
  if (pools.length === 0) return;
  const names = new Set(pools.map(({ name }) => name));
  for (const [key, [first]] of state.placements)
    if (first?.pool !== undefined && names.has(first.pool)) state.agenda.addresses.set(key, first.address);
}

/** Marks addresses that others with a current view may announce in this node's stead. */
export function touchLocal(state: SpeakerState): void {
  for (const placement of allPlacements(state))
    if (isByBgp(placement) && placement.isLocalHere) state.agenda.addresses.set(placement.address.toString(), placement.address);
}

/** This node, or another one, sees what changes in the API or delivers to Pods, or no longer, or can answer elsewhere than before. */
export function viewsChanged(state: SpeakerState): void {
  touchPools(state, reachabilityChanged(state));
  touchPlaced(state, [...(state.members.gossip?.candidates.addresses() ?? [])]);
  if (state.apiView.isReporting) touchLocal(state);
}

/** Tells the others what is different, which may decide on owners. */
export function flush(state: SpeakerState, effects: SpeakerEffect[]): void {
  touchPlaced(state, flushGossip(state, effects));
}

/** Whether there is something to do, and it can be done. */
export function hasWork(state: SpeakerState): boolean {
  const { agenda, isStarted, isLeaving, config, reporter } = state;
  if (!isStarted || isLeaving || config === undefined) return false;
  const size = agenda.addresses.size + agenda.services.size + reporter.agenda.size;
  return !agenda.isSettled || size > 0 || isStickyUnsettled(state);
}

/** Places some of the addresses on the agenda, and takes each off as it comes. Consequences may put addresses on the agenda again. */
export function placeSome(state: SpeakerState, pools: PoolIndex, now: Millis, effects: SpeakerEffect[]): void {
  const { agenda, services, placements } = state;
  let [holders, hashes, routes] = [0, 0, 0];
  const most = isRingLarge(state) ? maxAtOnceInLargeRing : maxAtOnce;
  const placed: SpeakerEffect[] = [];
  const lists = new Set<readonly string[]>(); // Made in this turn. Pools that are alike have one list of nodes.
  for (const [key, address] of agenda.addresses.entries().take(most)) {
    holders += Math.min(holderKeys(services, key).length, limits.holdersOfAddress);
    if (holders > maxHoldersAtOnce || hashes > maxHashesAtOnce || routes > maxRoutesAtOnce) break; // One address has no more.
    if (lists.size * state.members.active.length > maxNodesAtOnce) break;
    agenda.addresses.delete(key);
    const before = placements.get(key);
    const pool = poolAt(state, address);
    const isLookedAt = pool === undefined || state.nodes.pools.has(pool);
    placeAddress(state, key, address, pools, now, placed);
    const after = placements.get(key);
    hashes += mostHashes(before?.find(isOwned), after?.find(isOwned));
    routes += Math.max(countRoutes(before), countRoutes(after));
    const nodes = isLookedAt ? undefined : state.nodes.pools.get(pool);
    if (nodes !== undefined) lists.add(nodes.inService);
  }
  // The kernel takes all handovers of a turn in one change, before the first of the addresses is announced.
  const isHandover = ({ type }: SpeakerEffect) => type === "setHandover";
  effects.push(...placed.filter(isHandover), ...placed.filter((effect) => !isHandover(effect)));
  if (agenda.addresses.size === 0) for (const protocol of all) touch(state, protocol.settle(state, now));
}

/** How many hashes the election took at most, with that of the owner before. */
function mostHashes(before: AddressPlacement | undefined, placed: AddressPlacement | undefined): number {
  if (placed?.owner === undefined || placed.chosen === true || placed.owner === before?.owner) return 0;
  return placed.contenders.length + (before?.contenders.length ?? 0);
}

/** Routes to all peers, each path by itself. */
function countRoutes(placements: readonly AddressPlacement[] = none): number {
  let count = 0;
  for (const placement of placements)
    if (isByBgp(placement))
      for (const { prefix, via } of placement.routes)
        count += via.peers[prefix.family].length * (via.slots.get(prefix.family)?.length ?? 1);
  return count;
}

/** Placed addresses can be sent now. @returns whether that was all */
export function flushPlaced(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): boolean {
  const { agenda } = state;
  agenda.isSettled = agenda.addresses.size === 0;
  for (const protocol of all) protocol.flush(agenda.isSettled, effects);
  if (!state.isTold && (agenda.isSettled || now >= state.startedAt + maxUntoldMs)) {
    state.isTold = true;
    effects.push({ type: "tellStarted" });
  }
  return agenda.isSettled;
}

/** Some of the Services for which something may be different, each taken off as it comes. */
export function* takeServices(state: SpeakerState): Iterable<string> {
  const { agenda } = state;
  for (const service of agenda.services.values().take(maxAtOnce)) {
    agenda.services.delete(service);
    yield service;
  }
}

/** Whether this node announces the address. */
export function isAnnounced(state: SpeakerState, placement: AddressPlacement): boolean {
  return placement.protocol !== undefined && protocols[placement.protocol].isAnnounced(state, placement);
}

/** Where the addresses are placed that this node announces; one that it announces by several protocols is there for each. */
export function announcedHere(state: SpeakerState): IteratorObject<AddressPlacement> {
  return allPlacements(state).filter((placement) => isAnnounced(state, placement));
}

/** Placements of all addresses by all protocols. */
export function* allPlacements({ placements }: SpeakerState): Generator<AddressPlacement> {
  for (const each of placements.values()) yield* each;
}

function placeAddress(
  state: SpeakerState,
  key: string,
  address: Address,
  pools: PoolIndex,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  const { placements, services, agenda } = state;
  const pool = poolAt(state, address);
  const before = placements.get(key) ?? none;
  const keys = holderKeys(services, key);
  const onAddress = holdersWith(services, keys.slice(0, limits.holdersOfAddress), address.family).map(
    ({ addresses, mayHoldSeveral, asksFor, ...rest }) => ({
      ...rest,
      goesWith: pools.goesWith(addresses, address, mayHoldSeveral),
      // The controller judges by the same rule.
      isAllowed: pools.place(addresses, mayHoldSeveral, asksFor).held.some((held) => held.equals(address)),
    }),
  );
  const holders = heeded(onAddress);
  const isSlot = isSlotPool(pool);
  const within = isSlot
    ? [placeOneSlot(state, pool, { address, holders, before: before.find(isOwned) }, now)]
    : pool === undefined || pool.protocols.length === 0
      ? [placeNowhere(address, holders, pool?.name)]
      : pool.protocols.map((name) => protocols[name].place(state, { address, holders, pool, before: by(name, before) }, now));
  const placed = withRefused(within, keys.slice(limits.holdersOfAddress));
  const isHeld = isSlot || holders.length > 0;
  if (isHeld) placements.set(key, placed);
  else placements.delete(key);
  applyOwner(
    state,
    { address, pool: layer2PoolAt(state, address), isHeld, before: before.find(isOwned), placed: placed.find(isOwned) },
    now,
    effects,
  );
  for (const [name, protocol] of byName)
    protocol.apply(state, { address, pool, isHeld, before: by(name, before), placed: by(name, placed) }, now, effects);
  for (const each of [...before, ...placed]) for (const service of each.verdicts.keys()) agenda.services.add(service);
  if (isSlot) touchSlots(state);
}

const none: readonly never[] = [];

const sharedByTooMany: PlacementResult = { announced: false, reason: "sharedByTooMany" };

/** Services beyond those that may share an address have no say in where it is announced. */
function withRefused(placed: readonly AddressPlacement[], refused: readonly string[]): readonly AddressPlacement[] {
  if (refused.length === 0) return placed;
  return placed.map((each) => {
    const verdicts = new Map(each.verdicts);
    for (const service of refused) verdicts.set(service, sharedByTooMany);
    return { ...each, verdicts };
  });
}

const isOwned = (placement: AddressPlacement) => placement.isOwned;

function by(protocol: ProtocolName, placements: readonly AddressPlacement[]): AddressPlacement | undefined {
  return placements.find((placement) => placement.protocol === protocol);
}

/** All addresses are placed; if that was for another configuration, it is measured how long it took. */
export function converged({ agenda }: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  if (agenda.configuredAt === Infinity) return;
  effects.push({ type: "converged", afterMs: now - agenda.configuredAt });
  agenda.configuredAt = Infinity;
}
