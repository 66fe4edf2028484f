import { isUnicastMac, type Mac, unspecifiedAddress } from "#pkg/net";
import { type ArpFrame, ArpOperation, type WireAddress } from "./arp.ts";
import { type NeighborFrame, NeighborType } from "./ndp.ts";

/**
 * The evidence of a frame about its sender and an address. `announces`: the sender has the address, and says so to everyone unasked;
 * `uses`: it has the address, by a request from it or an answer for it; `probes`: it has no address yet, and tries whether this one is
 * free; `proves`: it is a speaker of the ring that announces the address at this moment, which nobody without the ring's key can forge;
 * `provesAlone`: the same, and it has lost all other speakers and the API.
 */
export type SightingKind = "announces" | "uses" | "probes" | "proves" | "provesAlone";

/** A host, `mac`, uses, announces or probes an address. */
export interface Sighting {
  readonly address: WireAddress;
  readonly mac: Mac;
  readonly kind: SightingKind;
}

/** A frame that would be a sighting of the address, but does not count: see `IgnoredReason`. */
export interface IgnoredSighting {
  readonly address: WireAddress;
  readonly ignored: "senderNotUnicast" | "senderMismatch";
}

/**
 * The sighting in an ARP packet: its sender has the sender address (RFC 5227, section 2.4), in requests as in replies; without one it
 * probes the target (section 2.1.1). @returns undefined where there is no such address
 */
export function sightingInArp({
  source,
  operation,
  senderMac,
  senderAddress,
  targetAddress,
}: ArpFrame): Sighting | IgnoredSighting | undefined {
  if (operation !== ArpOperation.request && operation !== ArpOperation.reply) return undefined;
  if (senderAddress !== 0) return from(source, senderMac, senderAddress, senderAddress === targetAddress ? "announces" : "uses");
  return operation === ArpOperation.request ? from(source, senderMac, targetAddress, "probes") : undefined;
}

/**
 * The sighting in a neighbor message: the sender of an advertisement has its target (RFC 4862, section 5.4.4), that of a solicitation has
 * its source, or without one detects duplicates of its target (section 5.4.3). The link-layer address is the one in the option, else the
 * frame's.
 */
export function sightingInNeighbor(frame: NeighborFrame): Sighting | IgnoredSighting {
  const mac = frame.linkLayerAddress ?? frame.sourceMac;
  if (frame.type === NeighborType.advertisement)
    return from(frame.sourceMac, mac, frame.target, frame.solicited ? "uses" : "announces");
  if (frame.source === unspecifiedAddress) return from(frame.sourceMac, mac, frame.target, "probes");
  return from(frame.sourceMac, mac, frame.source, "uses");
}

/** `mac` is what the packet names as its sender, which the Ethernet header has to agree with. A group's is no host's (RFC 1812, section 3.3.2). */
function from(source: Mac, mac: Mac, address: WireAddress, kind: SightingKind): Sighting | IgnoredSighting {
  if (!isUnicastMac(mac)) return { address, ignored: "senderNotUnicast" };
  return mac === source ? { address, mac, kind } : { address, ignored: "senderMismatch" };
}
