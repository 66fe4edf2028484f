import type { Millis } from "#pkg/clock";
import type { Pool, PoolIndex, Protocol as ProtocolName } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, isByBgp } from "#pkg/placement";
import { bgp } from "./bgp.ts";
import type { SpeakerEffect } from "./effects.ts";
import { layer2 } from "./layer2.ts";
import type { Placing, Protocol } from "./protocol.ts";
import { holdersOf } from "./services.ts";
import type { SpeakerState } from "./state.ts";
import { isStickyUnsettled } from "./sticky.ts";

export const protocols: Readonly<Record<ProtocolName, Protocol>> = { layer2, bgp };
const all = Object.values(protocols);

// With 50 members about 10 ms of hashing. The first elections for 10,000 addresses take a second: at a stretch that would delay all else.
const maxAtOnce = 100;

/** Something changed for these addresses: they are to be placed again. */
export function touch({ agenda }: SpeakerState, addresses: Iterable<Address>): void {
  for (const address of addresses) agenda.addresses.set(address.toString(), address);
}

export function touchPools(state: SpeakerState, pools: readonly Pool[]): void {
  if (pools.length === 0) return;
  const names = new Set(pools.map(({ name }) => name));
  for (const [key, { pool, address }] of state.placements)
    if (pool !== undefined && names.has(pool)) state.agenda.addresses.set(key, address);
}

/** Those whose owner depends on which nodes are active. */
export function touchOwned(state: SpeakerState): void {
  for (const [key, { address, protocol }] of state.placements)
    if (protocol === undefined || protocols[protocol].hasOwner) state.agenda.addresses.set(key, address);
}

/** Those that others with a current view may announce in this node's stead. */
export function touchLocal(state: SpeakerState): void {
  for (const [key, placement] of state.placements)
    if (isByBgp(placement) && placement.isLocalHere) state.agenda.addresses.set(key, placement.address);
}

/** Whether there is something to do, and it can be done. */
export function hasWork(state: SpeakerState): boolean {
  const { agenda, isStarted, config } = state;
  if (!isStarted || config === undefined) return false;
  return !agenda.isSettled || agenda.addresses.size + agenda.services.size > 0 || isStickyUnsettled(state);
}

/** Places some of what is to be placed, each taken off as it comes. What they set off may put addresses on again. */
export function placeSome(state: SpeakerState, pools: PoolIndex, now: Millis, effects: SpeakerEffect[]): void {
  const { agenda } = state;
  for (const [key, address] of agenda.addresses.entries().take(maxAtOnce)) {
    agenda.addresses.delete(key);
    placeAddress(state, key, address, pools, now, effects);
  }
  if (agenda.addresses.size === 0) for (const protocol of all) touch(state, protocol.settle(state, now));
}

/** What was placed can be sent now. @returns whether that was all */
export function flushPlaced({ agenda }: SpeakerState, effects: SpeakerEffect[]): boolean {
  agenda.isSettled = agenda.addresses.size === 0;
  for (const protocol of all) protocol.flush(agenda.isSettled, effects);
  return agenda.isSettled;
}

/** Some of the Services for which something may be different, each taken off as it comes. */
export function* takeServices({ agenda }: SpeakerState): Iterable<string> {
  for (const service of agenda.services.values().take(maxAtOnce)) {
    agenda.services.delete(service);
    yield service;
  }
}

/** Whether this node announces the address. */
export function isAnnounced(state: SpeakerState, placement: AddressPlacement): boolean {
  return protocols[placement.protocol ?? "layer2"].isAnnounced(state, placement);
}

/** Where the addresses are placed that this node announces. */
export function announcedHere(state: SpeakerState): IteratorObject<AddressPlacement> {
  return state.placements.values().filter((placement) => isAnnounced(state, placement));
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
  const pool = pools.find(address);
  const before = placements.get(key);
  const placing: Placing = {
    address,
    holders: holdersOf(services, address).map((holder) => ({
      ...holder,
      isAllowed: isAllowed(holder.addresses, address, pools),
    })),
    pool,
    before,
  };
  const placed = protocols[pool?.protocol ?? "layer2"].place(state, placing, now);
  if (placing.holders.length === 0) placements.delete(key);
  else placements.set(key, placed);
  for (const protocol of all) protocol.apply(state, placing, placed, now, effects);
  for (const service of before?.verdicts.keys() ?? []) agenda.services.add(service);
  for (const service of placed.verdicts.keys()) agenda.services.add(service);
}

/** Whether a Service with these addresses may hold this one of them; the controller judges by the same rule. */
function isAllowed(addresses: readonly Address[], address: Address, pools: PoolIndex): boolean {
  return pools.place(addresses).held.some((held) => held.equals(address));
}
