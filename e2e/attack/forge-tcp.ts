/**
 * Sends TCP segments of connections that nobody has: `forge-tcp.ts OWN-ADDRESS ADDRESS PORT COUNT TO-MAC FROM-MAC…`, so many to the address, by way of
 * the host with the first MAC address, in the name of each other one. Prints `sent` with their number when all are sent.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { EtherType, etherTypeFilter, interfaceIndexOf, PacketSocket, SendBatch } from "#pkg/linux";
import { macBytes, parseAddress, parseMac } from "#pkg/net";

const [ownText = "", addressText = "", portText = "", countText = "", ...macTexts] = process.argv.slice(2);
const [own, address] = [parseAddress(ownText), parseAddress(addressText)];
const [to, ...names] = macTexts.flatMap((text) => parseMac(text) ?? []);
const index = interfaceIndexOf("eth0");
if (own === undefined || address === undefined || to === undefined || index === undefined)
  throw new Error("Cannot forge: two addresses, MAC addresses and eth0 needed");
const atOnce = 50;
const ack = 0x10;
const frameLength = 54;

/** The sum of RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const number16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const [source, destination] = [[...own.toBytes()], [...address.toBytes()]];

function segment(fromMac: Uint8Array, fromPort: number): Uint8Array {
  const ip = (sum: number) => [
    0x45,
    0,
    0,
    40,
    ...number16(fromPort),
    0x40,
    0,
    64,
    6,
    ...number16(sum),
    ...source,
    ...destination,
  ];
  const tcp = (sum: number) => [
    ...number16(fromPort),
    ...number16(Number(portText)),
    ...[0, 0, 0, 1, 0, 0, 0, 1, 0x50, ack, 0xff, 0xff],
    ...number16(sum),
    ...[0, 0],
  ];
  const pseudoHeader = [...source, ...destination, 0, 6, 0, 20];
  return Uint8Array.of(
    ...macBytes(to ?? 0),
    ...fromMac,
    ...[8, 0],
    ...ip(checksum(Uint8Array.from(ip(0)))),
    ...tcp(checksum(Uint8Array.from([...pseudoHeader, ...tcp(0)]))),
  );
}

using socket = PacketSocket.open(index, EtherType.ipv4, etherTypeFilter(EtherType.ipv4, 0));
let sent = 0;
for (const [place, name] of names.entries())
  for (let first = 0; first < Number(countText); first += atOnce) {
    const batch = new SendBatch(atOnce, frameLength);
    for (let i = first; i < Math.min(first + atOnce, Number(countText)); i++)
      batch.push(segment(macBytes(name), 10_000 + place * Number(countText) + i));
    socket.send(batch);
    sent += Math.min(atOnce, Number(countText) - first);
    await sleep(5);
  }
console.log(`sent ${sent}`);
