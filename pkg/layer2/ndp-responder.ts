import type { Arrival } from "#pkg/linux";
import { isUnicastMac, type Mac } from "#pkg/net";
import type { Answer } from "./answer.ts";
import {
  allNodesGroup,
  encodeNeighbor,
  isMulticast,
  multicastMac,
  type NeighborFrame,
  NeighborType,
  unspecifiedAddress,
} from "./ndp-codec.ts";

/**
 * Decides on a message that came in on the interface with MAC address `mac`. `find` knows what is announced; an answer is written into
 * `room`. A solicitation for an announced address is answered as by a host that has it (RFC 4861, section 7.2.4), whether it was sent
 * to a group or, to check that the neighbour is still there, to the address itself, and whatever the subnet of the one who asks. One
 * who asks without an address is about to take ours: everyone is told that it is taken, him among them (RFC 4862, section 5.4.3).
 */
export function answerNeighbor<Announcement>(
  asked: NeighborFrame,
  arrival: Arrival,
  mac: Mac,
  find: (address: bigint) => Announcement | undefined,
  room?: Uint8Array,
): Answer<Announcement> {
  if (arrival === "outgoing" || asked.sourceMac === mac) return "own"; // The latter: a switch or a hairpin sent it back.
  if (arrival === "otherHost" || (asked.destinationMac !== mac && isUnicastMac(asked.destinationMac))) return "notForUs";
  if (asked.type !== NeighborType.solicitation) return "notRequest";
  if (asked.destination !== asked.target && !isMulticast(asked.destination)) return "notForUs";
  if (asked.source === asked.target) return "gratuitous";
  // A link-layer address to which nobody may send is no answer's destination; the frame came from somewhere all the same.
  const named = asked.linkLayerAddress;
  const solicitor = named !== undefined && isUnicastMac(named) ? named : asked.sourceMac;
  if (!isUnicastMac(solicitor)) return "malformed";
  const announcement = find(asked.target);
  if (announcement === undefined) return "notAnnounced";
  const reply =
    asked.source === unspecifiedAddress
      ? unsolicited(mac, asked.target)
      : advertisement(mac, asked.target, solicitor, asked.source, true);
  return { announcement, frame: encodeNeighbor(reply, room) };
}

/** The advertisement to all nodes, asked by nobody, that `address` is at `mac`. */
export function unsolicited(mac: Mac, address: bigint): NeighborFrame {
  return advertisement(mac, address, multicastMac(allNodesGroup), allNodesGroup, false);
}

/**
 * The source is the address itself, as with a host that has it, so that none of the node's own is needed or told. Never a router: the
 * address forwards for nobody. Override is set, also in answers: there is no other place to reach the address, so that what was known
 * before has to go.
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
