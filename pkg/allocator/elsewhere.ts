import { parseAddress } from "#pkg/net";
import type { Rules } from "./filling.ts";
import type { Layout } from "./layout.ts";

/** Other users of addresses of pools: occupying hosts and IPAMs. They stay when the pools change. */
export type Elsewhere = Pick<Rules, "occupants" | "ipam">;

/** Addresses that are given to nobody, because others use them. */
export function* outOfUse({ occupants, ipam }: Elsewhere): Iterable<string> {
  yield* occupants.keys();
  yield* ipam.foreignAddresses();
}

export function* slotsOf(addresses: Iterable<string>, layout: Layout): Iterable<bigint> {
  for (const text of addresses) {
    const address = parseAddress(text);
    const slot = address && layout.locate(address)?.slot;
    if (slot !== undefined) yield slot;
  }
}

/** Some use these addresses now, and others do not use those any more, but maybe by another spelling, or in another IPAM. */
export function usersChanged(
  { occupants, ipam, occupancy }: Pick<Rules, "occupants" | "ipam" | "occupancy">,
  used: Iterable<string>,
  unused: readonly string[],
): void {
  const { layout } = occupancy;
  for (const slot of slotsOf(unused, layout)) if (!ipam.isForeign(`${layout.at(slot).address}`)) occupancy.vacate(slot);
  for (const slot of slotsOf(used, layout)) occupancy.occupy(slot);
  if (unused.length > 0) for (const slot of slotsOf(occupants.keys(), layout)) occupancy.occupy(slot);
}
