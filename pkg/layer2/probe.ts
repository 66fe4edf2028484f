import { broadcastMac, type Mac } from "#pkg/net";
import { ArpOperation, encodeArp } from "./arp.ts";
import type { WireAddress } from "./messages.ts";
import { encodeNeighbor, multicastMac, NeighborType, solicitedNodeGroup, unspecifiedAddress } from "./ndp-codec.ts";

/**
 * The frame by which `mac` asks who has `address`, of everyone or of `to` alone, without an address of its own: so that nobody takes
 * it for one who has the address already. An ARP probe (RFC 5227, section 2.1.1) is answered to `mac` alone. A solicitation that looks
 * for duplicates (RFC 4862, section 5.4.2) is answered to all nodes: they learn where the address is.
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

/** Like `probeFrame` for IPv6, from the address `source` at `mac`: the answer goes there alone, and tells no other host anything. */
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
