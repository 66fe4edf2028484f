import { broadcastMac, type Mac, multicastMac, unspecifiedAddress } from "#pkg/net";
import { unsolicited } from "./answers.ts";
import { ArpOperation, encodeArp, type WireAddress } from "./arp.ts";
import { encodeNeighbor, NeighborType, solicitedNodeGroup } from "./ndp.ts";

/** The frames that make every host on the link use `mac` for `address`. */
export function gratuitousFrames(mac: Mac, address: WireAddress): Uint8Array[] {
  if (typeof address === "bigint") return [encodeNeighbor(unsolicited(mac, address))];
  // Some hosts learn from requests only, and some from replies only.
  return [ArpOperation.request, ArpOperation.reply].map((operation) =>
    encodeArp({
      destination: broadcastMac,
      source: mac,
      operation,
      senderMac: mac,
      senderAddress: address,
      targetMac: broadcastMac,
      targetAddress: address,
    }),
  );
}

/**
 * The probe of `address` from `mac`, to everyone or to `to` alone. It has no source address, so that no host takes its sender for an owner
 * of the address. An ARP probe (RFC 5227, section 2.1.1) is answered to `mac` alone. Duplicate address detection (RFC 4862, section 5.4.2)
 * is answered to all nodes, which learn where the address is.
 */
export function probeFrame(mac: Mac, address: WireAddress, to?: Mac): Uint8Array {
  if (typeof address === "number")
    return encodeArp({
      destination: to ?? broadcastMac,
      source: mac,
      operation: ArpOperation.request,
      senderMac: mac,
      senderAddress: 0,
      targetMac: 0,
      targetAddress: address,
    });
  return solicitation(mac, unspecifiedAddress, address, to);
}

/** Like `probeFrame` for IPv6, from the address `source` at `mac`: the answer goes there alone, and no other host learns from it. */
export function solicitationFrom(source: bigint, mac: Mac, address: bigint, to: Mac): Uint8Array {
  return solicitation(mac, source, address, to);
}

function solicitation(mac: Mac, source: bigint, target: bigint, to: Mac | undefined): Uint8Array {
  const group = solicitedNodeGroup(target);
  return encodeNeighbor({
    destinationMac: to ?? multicastMac(group),
    sourceMac: mac,
    source,
    destination: group,
    type: NeighborType.solicitation,
    router: false,
    solicited: false,
    override: false,
    target,
    linkLayerAddress: source === unspecifiedAddress ? undefined : mac,
  });
}
