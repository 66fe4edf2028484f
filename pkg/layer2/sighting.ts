import { broadcastMac, type Mac } from "#pkg/net";
import { type ArpFrame, ArpOperation } from "./arp.ts";
import type { WireAddress } from "./messages.ts";
import { type NeighborFrame, NeighborType, unspecifiedAddress } from "./ndp-codec.ts";

/**
 * What a machine lets the link know about an address. `announces`: that it is there, unasked, to everyone; `uses`: that it is there,
 * by a question from it or an answer about it; `probes`: nothing yet, it wants to know whether the address is free.
 */
export type SightingKind = "announces" | "uses" | "probes";

/** That `mac` has `address`, or would have it. */
export interface Sighting {
  readonly address: WireAddress;
  readonly mac: Mac;
  readonly kind: SightingKind;
}

/**
 * The sighting in an ARP packet: its sender has its sender address (RFC 5227, section 2.4), whatever it asks or answers; without one it
 * probes for the target (section 2.1.1). @returns undefined where there is none, or nobody whose it could be
 */
export function sightingInArp({ operation, senderMac, senderAddress, targetAddress }: ArpFrame): Sighting | undefined {
  if (operation !== ArpOperation.request && operation !== ArpOperation.reply) return undefined;
  if (!isSomebody(senderMac)) return undefined;
  if (senderAddress !== 0)
    return { address: senderAddress, mac: senderMac, kind: senderAddress === targetAddress ? "announces" : "uses" };
  return operation === ArpOperation.request ? { address: targetAddress, mac: senderMac, kind: "probes" } : undefined;
}

/**
 * The sighting in a neighbour's message: an advertisement's target is at its sender (RFC 4862, section 5.4.4), a solicitation comes from
 * its source, or from one who tries its target for duplicates when it has none (section 5.4.3). The link-layer address is the one in
 * the option, else the frame's.
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
