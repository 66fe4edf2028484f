import type { Arrival } from "#pkg/linux";
import { broadcastMac, type Mac } from "#pkg/net";
import type { Answer } from "./answer.ts";
import { type ArpFrame, ArpOperation, encodeArp } from "./arp.ts";

/**
 * Decides on a packet that came in on the interface with MAC address `mac`. `find` knows what is announced; an answer is written into
 * `room`. A request sent to broadcast or to `mac` for an announced address is answered to its sender alone, whatever the sender's
 * address and subnet: also an ARP probe, whose sender has no address yet (RFC 5227, section 2.1.1), and a unicast poll (RFC 1122,
 * section 2.3.2.1).
 */
export function answerArp<Announcement>(
  request: ArpFrame,
  arrival: Arrival,
  mac: Mac,
  find: (address: number) => Announcement | undefined,
  room?: Uint8Array,
): Answer<Announcement> {
  if (arrival === "outgoing" || request.source === mac) return "own"; // The latter: a switch or a hairpin sent it back.
  // The kernel strips the tag of a VLAN it does not know before a packet socket sees the frame; only the arrival tells.
  if (arrival === "otherHost" || (request.destination !== broadcastMac && request.destination !== mac)) return "notForUs";
  if (request.operation !== ArpOperation.request) return "notRequest";
  if (request.senderAddress === request.targetAddress) return "gratuitous";
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
