/** What the tests of this package share. */
import { readFileSync } from "node:fs";
import { type ArpFrame, ArpOperation, encodeArp } from "./arp.ts";
import { broadcastMac } from "./mac.ts";

export const ourMac = 0x2a49d8186e16;
export const clientMac = 0xd2cb023c7b97;
export const ourAddress = 0xc0000201; // 192.0.2.1
export const clientAddress = 0xc0000202;

/** A frame of `testdata/arp.hex`. */
export function capturedFrame(name: string): Uint8Array {
  const lines = readFileSync(new URL("./testdata/arp.hex", import.meta.url), "utf8")
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
