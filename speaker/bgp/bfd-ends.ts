import { networkInterfaces } from "node:os";
import type { BfdEnds } from "#pkg/bfd";
import type { Peer } from "#pkg/config";
import { type Prefix, parsePrefix } from "#pkg/net";

/**
 * Between which ends BFD is spoken with a peer. It goes over several hops where the session may: as the configuration says for eBGP, and
 * for iBGP with an address that is on none of the node's subnets.
 */
export function bfdEnds(peer: Peer, subnets: readonly Prefix[]): BfdEnds {
  const { address, sourceAddress, interface: device, ebgpMultihop, ttlSecurityHops = 1, myAsn, peerAsn } = peer;
  const distant = device === undefined && !subnets.some((subnet) => subnet.contains(address));
  const multihop = ebgpMultihop || ttlSecurityHops > 1 || (myAsn === peerAsn && distant);
  return { peer: address, local: sourceAddress, interface: device, multihop };
}

/** The subnets of the node's interfaces, as they are now. */
export function nodeSubnets(): Prefix[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.flatMap(({ cidr }) => (cidr === null ? [] : (parsePrefix(cidr) ?? []))),
  );
}
