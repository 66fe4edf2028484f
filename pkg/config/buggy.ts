import type { Address } from "#pkg/net";

/** Ends in .0 or .255, which some routers and their smurf protection take for a broadcast; what `avoid-buggy-ips` is about. */
export function isBuggy(address: Address): boolean {
  const octet = address.value & 255n;
  return address.family === "IPv4" && (octet === 0n || octet === 255n);
}

/** How many IPv4 addresses below `value` are not buggy: 254 in each /24. */
export function soundBelow(value: bigint): bigint {
  const octet = value & 255n;
  return (value >> 8n) * 254n + (octet === 0n ? 0n : octet - 1n);
}

/** The IPv4 address that is not buggy and has `count` such addresses below it. */
export function soundAt(count: bigint): bigint {
  return ((count / 254n) << 8n) + (count % 254n) + 1n;
}
