import { readFileSync } from "node:fs";
import { broadcastMac, multicastMac } from "#pkg/net";
import { type ArpFrame, ArpOperation, encodeArp } from "../frames/arp.ts";
import { type NeighborFrame, NeighborType, solicitedNodeGroup } from "../frames/ndp.ts";

/** Shared by the tests of this package. */

export const ourMac = 0x2a49d8186e16;
export const clientMac = 0xd2cb023c7b97;
export const ourAddress = 0xc0000201; // 192.0.2.1
export const clientAddress = 0xc0000202;
export const ourAddress6 = 0x2001_0db8_0000_0000_0000_0000_0000_0001n; // 2001:db8::1
export const clientAddress6 = ourAddress6 + 1n;

/** A frame of a file in `testdata/`. */
export function capturedFrame(name: string, file = "arp.hex"): Uint8Array {
  const lines = readFileSync(new URL(`../testdata/${file}`, import.meta.url), "utf8")
    .trim()
    .split("\n");
  const hex = lines.find((line) => line.startsWith(`${name} `))?.split(" ")[1];
  if (hex === undefined) throw new Error(`Cannot find captured frame: ${name}`);
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** The broadcast request of the client for our address, with `changes`. */
export function request(changes: Partial<ArpFrame> = {}): ArpFrame {
  return {
    destination: broadcastMac,
    source: clientMac,
    operation: ArpOperation.request,
    senderMac: clientMac,
    senderAddress: clientAddress,
    targetMac: 0,
    targetAddress: ourAddress,
    ...changes,
  };
}

export function requestBytes(changes: Partial<ArpFrame> = {}): Uint8Array {
  return encodeArp(request(changes));
}

/** The solicitation of the client for our IPv6 address, sent to its group, with `changes`. */
export function solicitation(changes: Partial<NeighborFrame> = {}): NeighborFrame {
  return {
    destinationMac: multicastMac(solicitedNodeGroup(ourAddress6)),
    sourceMac: clientMac,
    source: clientAddress6,
    destination: solicitedNodeGroup(ourAddress6),
    type: NeighborType.solicitation,
    router: false,
    solicited: false,
    override: false,
    target: ourAddress6,
    linkLayerAddress: clientMac,
    ...changes,
  };
}
