import type { Family } from "#pkg/net";
import type { AddressFamily } from "./messages.ts";

/** IANA's address family numbers. */
export const Afi = { ipv4: 1, ipv6: 2 } as const;
const safiUnicast = 1;

/** What a family's unicast routes are on the wire. */
export const unicast: Readonly<Record<Family, AddressFamily>> = {
  IPv4: { afi: Afi.ipv4, safi: safiUnicast },
  IPv6: { afi: Afi.ipv6, safi: safiUnicast },
};

/** The family whose unicast routes these are; undefined for all others. */
export function unicastFamily({ afi, safi }: AddressFamily): Family | undefined {
  if (safi !== safiUnicast) return undefined;
  return afi === Afi.ipv4 ? "IPv4" : afi === Afi.ipv6 ? "IPv6" : undefined;
}
