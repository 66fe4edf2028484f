import { broadcastMac, type Mac } from "#pkg/net";
import { type ArpFrame, ArpOperation, type WireAddress } from "./arp.ts";
import { type NeighborFrame, NeighborType, unspecifiedAddress } from "./ndp.ts";

/**
 * What a frame shows of its sender and an address. `announces`: it has the address, and says so to everyone unasked; `uses`: it has the
 * address, by a request from it or an answer for it; `probes`: it has no address yet, and tries whether this one is free.
 */
export type SightingKind = "announces" | "uses" | "probes";

/** A host, `mac`, uses, announces or probes an address. */
export interface Sighting {
  readonly address: WireAddress;
  readonly mac: Mac;
  readonly kind: SightingKind;
}

/**
 * The sighting in an ARP packet: its sender has the sender address (RFC 5227, section 2.4), in requests as in replies; without one it
 * probes the target (section 2.1.1). @returns undefined where there is no such address, or no host that could have it
 */
export function sightingInArp({ operation, senderMac, senderAddress, targetAddress }: ArpFrame): Sighting | undefined {
  if (operation !== ArpOperation.request && operation !== ArpOperation.reply) return undefined;
  if (!isSomebody(senderMac)) return undefined;
  if (senderAddress !== 0)
    return { address: senderAddress, mac: senderMac, kind: senderAddress === targetAddress ? "announces" : "uses" };
  return operation === ArpOperation.request ? { address: targetAddress, mac: senderMac, kind: "probes" } : undefined;
}

/**
 * The sighting in a neighbour message: the sender of an advertisement has its target (RFC 4862, section 5.4.4), that of a solicitation has
 * its source, or without one detects duplicates of its target (section 5.4.3). The link-layer address is the one in the option, else the
 * frame's.
 */
export function sightingInNeighbor(frame: NeighborFrame): Sighting | undefined {
  const mac = frame.linkLayerAddress ?? frame.sourceMac;
  if (!isSomebody(mac)) return undefined;
  if (frame.type === NeighborType.advertisement)
    return { address: frame.target, mac, kind: frame.solicited ? "uses" : "announces" };
  if (frame.source === unspecifiedAddress) return { address: frame.target, mac, kind: "probes" };
  return { address: frame.source, mac, kind: "uses" };
}

/** Groups count: a cluster of hosts may answer with one (RFC 1812, section 3.3.2, knows of it, and forbids it). */
function isSomebody(mac: Mac): boolean {
  return mac !== 0 && mac !== broadcastMac;
}
