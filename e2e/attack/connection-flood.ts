/**
 * Opens TCP connections and resets each as soon as it is there: `connection-flood.ts ADDRESS PORT PER-SECOND SOURCE…`, from these
 * addresses of its own in turn, until SIGTERM. Prints `flooding` when it begins, `tried N, opened M` in the end. It runs ahead of other
 * processes, where it may.
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { becomeUrgent } from "#pkg/linux";

const [host = "", port, perSecond, ...sources] = process.argv.slice(2);
const givenUpAfterMs = 100;
const atOnce = Number(perSecond) / 50; // The most late attempts that it makes up for.
const pending = new Map<Socket, number>(); // Still being opened, the oldest first -> since when.
let tried = 0;
let opened = 0;
becomeUrgent(); // Where it may not, it is as fast as the machine lets it.
console.log("flooding");
process.on("SIGTERM", () => {
  console.log(`tried ${tried}, opened ${opened}`);
  process.exit();
});

function open(now: number): void {
  const socket = connect({ host, port: Number(port), localAddress: sources[tried++ % sources.length] });
  pending.set(socket, now);
  socket.on("connect", () => {
    opened++;
    socket.resetAndDestroy(); // So that its port can be used again at once.
  });
  socket.on("error", () => {});
  socket.on("close", () => pending.delete(socket));
}

for (let due = 0, last = performance.now(); ; await sleep(1)) {
  const now = performance.now();
  due = Math.min(due + ((now - last) / 1000) * Number(perSecond), atOnce);
  last = now;
  for (const [socket, since] of pending) {
    if (now < since + givenUpAfterMs) break;
    socket.destroy();
  }
  for (; due >= 1; due--) open(now);
}
