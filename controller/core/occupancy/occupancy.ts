import type { IpamChange } from "#pkg/allocator";
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

/** An IPAM says something else of its pool. */
export function ipamChanged(state: ControllerState, change: IpamChange): void {
  const { allocator, agenda, asked, verdicts } = state;
  const { pool, granted, foreign, exhausted, problem, isRead } = change;
  const before = allocator.ipamOf(pool);
  for (const [text, service] of granted)
    for (const each of [before?.granted.get(text), service]) if (each !== undefined) agenda.changed(each);
  for (const answered of allocator.changeIpam(change)) agenda.changed(answered);
  verdicts.pools.changed(pool);
  for (const [text, by] of foreign) if (by === undefined) freed(state, text);
  const isOther = problem !== before?.problem || isRead !== (before?.isRead ?? false);
  for (const family of families)
    if (isOther || exhausted.has(family) !== (before?.exhausted.has(family) ?? false))
      for (const waiting of asked.waiting.changed(freeInPool(pool, family))) agenda.changed(waiting);
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
