import type { IpamPool } from "#pkg/allocator";
import { families, parseAddress } from "#pkg/net";
import type { Occupant } from "#pkg/quarantine";
import type { ControllerState } from "../state.ts";
import { freedResources, freeInPool } from "../waiting/waits.ts";
import { heedReported } from "./occupants.ts";

/** Speakers report that other hosts of the network have these addresses, and no others (address -> who). */
export function setOccupied(state: ControllerState, reported: ReadonlyMap<string, Occupant>): void {
  state.occupancy.reported = reported;
  if (state.pools.inForce.type === "configured") heedOccupants(state);
}

/**
 * An address that a Service has had for longer stays with it, whatever is reported of it: a report needs no more than the token of one
 * speaker. Under `strict` the speakers probe an address when it is announced first, so that a report comes soon after it was assigned.
 */
export function heedOccupants(state: ControllerState): void {
  const { allocator, agenda, context, occupancy } = state;
  const before = occupancy.occupants;
  const now = heedReported(occupancy.reported, before, (address, counts) => {
    const pool = allocator.poolOf(address);
    if (pool === undefined || !occupancy.strictPools.has(pool)) return false;
    return counts || allocator.holders(address).every((service) => occupancy.recent.has(service, address));
  });
  occupancy.occupants = now;
  allocator.setOccupied(now);
  for (const text of new Set(before.keys()).symmetricDifference(now)) fullnessChanged(state, text);
  for (const [text, by] of now) {
    if (before.has(text)) continue;
    const fields = { event: "addressOccupied", ip: text, by };
    context.log("warn", "another host uses an address of a pool, it is not assigned until it is free", fields);
    const address = parseAddress(text);
    for (const holder of address === undefined ? [] : allocator.holders(address)) agenda.changed(holder);
  }
  for (const text of before.keys()) {
    if (now.has(text)) continue;
    context.log("info", "address is free again", { event: "addressFree", ip: text });
    freed(state, text);
  }
}

/** What IPAMs say of their pools, and of no others. */
export function setIpam(state: ControllerState, pools: readonly IpamPool[]): void {
  const { allocator, agenda, asked, occupancy, verdicts } = state;
  const before = occupancy.ipam;
  occupancy.ipam = pools;
  allocator.setIpam(pools);
  for (const pool of new Set([...before, ...pools].map((each) => each.pool))) verdicts.pools.changed(pool);
  for (const { pool, foreign, granted, exhausted, problem } of before) {
    const now = pools.find((each) => each.pool === pool);
    for (const text of foreign.keys()) if (!now?.foreign.has(text)) freed(state, text);
    for (const [text, service] of granted) if (now?.granted.get(text) !== service) agenda.changed(service);
    for (const family of families)
      if (exhausted.has(family) !== now?.exhausted.has(family) || problem !== now?.problem)
        for (const waiting of asked.waiting.changed(freeInPool(pool, family))) agenda.changed(waiting);
  }
  const known = new Map(before.map((each) => [each.pool, each]));
  for (const { pool, granted } of pools)
    for (const [text, service] of granted) if (known.get(pool)?.granted.get(text) !== service) agenda.changed(service);
}

/** Others use the address, or do not any more. */
function fullnessChanged({ allocator, verdicts }: ControllerState, text: string): void {
  const address = parseAddress(text);
  const pool = address && allocator.poolOf(address);
  if (pool !== undefined) verdicts.pools.changed(pool);
}

/** Others do not use the address any more. */
function freed({ allocator, asked, agenda }: ControllerState, text: string): void {
  const address = parseAddress(text);
  const pool = address && allocator.poolOf(address);
  if (address === undefined || pool === undefined) return;
  for (const resource of freedResources(pool, address, allocator))
    for (const waiting of asked.waiting.changed(resource)) agenda.changed(waiting);
}
