/**
 * Sends UDP packets that look encrypted and are not: `garbage-packets.ts ADDRESS PORT PER-SECOND`, until SIGTERM. Then it prints
 * `sent N`. It runs ahead of other processes, so that a busy machine slows it down as little as can be.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { becomeRealTime, becomeUrgent, socketAddress, UdpSocket } from "#pkg/linux";
import { parseAddress } from "#pkg/net";

const [address = "", port, perSecond] = process.argv.slice(2);
const atOnce = Number(perSecond) / 10; // The most late packets that it makes up for.
if (!becomeRealTime()) becomeUrgent();
const sockets = Array.from({ length: 50 }, (_, index) =>
  UdpSocket.open({ family: "IPv4", port: 20_000 + index, ttl: 64, trafficClass: 0 }),
);
const to = socketAddress(parseAddress(address)?.toBytes() ?? new Uint8Array(4), Number(port));
const packet = Buffer.alloc(120, 1);
let sent = 0;
process.on("SIGTERM", () => {
  console.log(`sent ${sent}`);
  process.exit();
});
for (let due = 0, last = performance.now(); ; await sleep(1)) {
  const now = performance.now();
  due = Math.min(due + ((now - last) / 1000) * Number(perSecond), atOnce);
  last = now;
  for (; due >= 1; due--) {
    packet.writeUInt32BE(++sent, 3); // Another nonce.
    sockets[sent % sockets.length]?.send(packet, to);
  }
}
