import type { Arrival } from "#pkg/linux";
import { allNodesGroup, broadcastMac, isUnicastMac, type Mac, multicastMac, unspecifiedAddress } from "#pkg/net";
import { type ArpFrame, ArpOperation, encodeArp } from "./arp.ts";
import { encodeNeighbor, isMulticast, type NeighborFrame, NeighborType } from "./ndp.ts";

/**
 * Why a frame is not answered. `own`: this machine sent it. `notForUs`: sent to another host, to a group of others, or in a
 * VLAN that the interface is not in. `gratuitous`: its sender announces its own address. `senderNotUnicast`: its sender has a broadcast or multicast
 * address, or none; `senderMismatch`: it uses an announced address, and the Ethernet header names another sender than the packet does.
 */
export const ignoredReasons = [
  "malformed",
  "own",
  "notForUs",
  "notRequest",
  "gratuitous",
  "senderNotUnicast",
  "senderMismatch",
  "notAnnounced",
] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** The answer to a frame, ready to send, and the announced address that it is for; or why there is no answer. */
export type Answer<Announcement> = { readonly announcement: Announcement; readonly frame: Uint8Array } | IgnoredReason;

/**
 * Decides on a packet that came in on the interface with MAC address `mac`. `find` knows the announced addresses; an answer is written into
 * `room`. A request sent to broadcast or to `mac` for an announced address is answered to its sender alone, from any address and subnet:
 * also an ARP probe, whose sender has no address yet (RFC 5227, section 2.1.1), and a unicast poll (RFC 1122, section 2.3.2.1).
 */
export function answerArp<Announcement>(
  request: ArpFrame,
  arrival: Arrival,
  mac: Mac,
  find: (address: number) => Announcement | undefined,
  room?: Uint8Array,
): Answer<Announcement> {
  if (arrival === "outgoing" || request.source === mac) return "own"; // The latter: a switch or a hairpin sent it back.
  // The kernel strips the tag of a VLAN it does not know before a packet socket sees the frame; only the arrival shows it.
  if (arrival === "otherHost" || (request.destination !== broadcastMac && request.destination !== mac)) return "notForUs";
  if (request.operation !== ArpOperation.request) return "notRequest";
  if (request.senderAddress === request.targetAddress) return "gratuitous";
  if (!isUnicastMac(request.senderMac)) return "senderNotUnicast";
  const announcement = find(request.targetAddress);
  if (announcement === undefined) return "notAnnounced";
  const reply = {
    destination: request.senderMac,
    source: mac,
    operation: ArpOperation.reply,
    senderMac: mac,
    senderAddress: request.targetAddress,
    targetMac: request.senderMac,
    targetAddress: request.senderAddress,
  };
  return { announcement, frame: encodeArp(reply, room) };
}

/**
 * Decides on a message that came in on the interface with MAC address `mac`. `find` knows the announced addresses; an answer is written
 * into `room`. A solicitation for an announced address is answered as by a host that has it (RFC 4861, section 7.2.4), from any subnet, and
 * whether it was sent to a group or, to check that the neighbor is still there, to the address itself. A sender without an address is about
 * to take ours: the answer that it is taken goes to all nodes (RFC 4862, section 5.4.3).
 */
export function answerNeighbor<Announcement>(
  solicitation: NeighborFrame,
  arrival: Arrival,
  mac: Mac,
  find: (address: bigint) => Announcement | undefined,
  room?: Uint8Array,
): Answer<Announcement> {
  if (arrival === "outgoing" || solicitation.sourceMac === mac) return "own"; // The latter: a switch or a hairpin sent it back.
  if (arrival === "otherHost" || (solicitation.destinationMac !== mac && isUnicastMac(solicitation.destinationMac)))
    return "notForUs";
  if (solicitation.type !== NeighborType.solicitation) return "notRequest";
  if (solicitation.destination !== solicitation.target && !isMulticast(solicitation.destination)) return "notForUs";
  if (solicitation.source === solicitation.target) return "gratuitous";
  // An answer cannot go to a group; the frame came from a host all the same.
  const named = solicitation.linkLayerAddress;
  const solicitor = named !== undefined && isUnicastMac(named) ? named : solicitation.sourceMac;
  if (!isUnicastMac(solicitor)) return "malformed";
  const announcement = find(solicitation.target);
  if (announcement === undefined) return "notAnnounced";
  const reply =
    solicitation.source === unspecifiedAddress
      ? unsolicited(mac, solicitation.target)
      : advertisement(mac, solicitation.target, solicitor, solicitation.source, true);
  return { announcement, frame: encodeNeighbor(reply, room) };
}

/** The unsolicited advertisement to all nodes that `address` is at `mac`. */
export function unsolicited(mac: Mac, address: bigint): NeighborFrame {
  return advertisement(mac, address, multicastMac(allNodesGroup), allNodesGroup, false);
}

/**
 * The source is the address itself, as with a host that has it, so that none of the node's own is needed or revealed. Never a router: the
 * address forwards for nobody. Override is set, also in answers: the address is nowhere else, so that entries from before have to go.
 */
function advertisement(mac: Mac, address: bigint, toMac: Mac, to: bigint, solicited: boolean): NeighborFrame {
  return {
    destinationMac: toMac,
    sourceMac: mac,
    source: address,
    destination: to,
    type: NeighborType.advertisement,
    router: false,
    solicited,
    override: true,
    target: address,
    linkLayerAddress: mac,
  };
}
