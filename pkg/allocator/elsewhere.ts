import { parseAddress } from "#pkg/net";
import type { Rules } from "./filling.ts";
import { Ipam } from "./ipam.ts";
import type { Layout } from "./layout.ts";

/** Other users of addresses of pools: occupying hosts and IPAMs. They stay when the pools change. */
export type Elsewhere = Pick<Rules, "occupants" | "ipam">;
export const nothingElsewhere: Elsewhere = { occupants: new Map(), ipam: new Ipam([]) };

/** Addresses that are given to nobody, because others use them. */
export function outOfUse({ occupants, ipam }: Elsewhere): Set<string> {
  return new Set([...occupants.keys(), ...ipam.foreignAddresses()]);
}

export function* slotsOf(addresses: Iterable<string>, layout: Layout): Iterable<bigint> {
  for (const text of addresses) {
    const address = parseAddress(text);
    const slot = address && layout.locate(address)?.slot;
    if (slot !== undefined) yield slot;
  }
}
