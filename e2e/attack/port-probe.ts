/**
 * Somebody who connects once in a while: `port-probe.ts HOST PORT MODE SECONDS`, with a new connection each half second. MODE is `http`
 * (GET /readyz, as a kubelet asks) or `bgp` (takes the first octets of an OPEN). Prints `answered N of M` within a second, how many in a row
 * were not, and how long the slowest took.
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [host = "", port, mode = "http", seconds] = process.argv.slice(2);
const everyMs = 500;
const timeoutMs = 1_000; // Timeout of a kubelet, where the manifest names no timeout.
const wanted = mode === "http" ? "HTTP/1.1 200" : "\xff".repeat(16);

/** @returns how long the answer took, in milliseconds; undefined for none in time */
async function probe(): Promise<number | undefined> {
  const began = performance.now();
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const socket = connect({ host, port: Number(port) });
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  if (mode === "http") socket.write(`GET /readyz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  let received = "";
  socket.on("data", (piece) => {
    received += piece.toString("latin1");
    if (received.startsWith(wanted)) resolve(performance.now() - began);
  });
  socket.on("error", () => {});
  socket.on("close", () => resolve(undefined));
  const took = await promise;
  clearTimeout(timer);
  socket.destroy();
  return took;
}

const answers: (number | undefined)[] = [];
for (const end = performance.now() + Number(seconds) * 1_000; performance.now() < end; ) {
  const next = sleep(everyMs);
  answers.push(await probe());
  await next;
}
const taken = answers.filter((took) => took !== undefined);
let [row, longestRow] = [0, 0];
for (const took of answers) {
  row = took === undefined ? row + 1 : 0;
  longestRow = Math.max(longestRow, row);
}
const slowest = Math.max(0, ...taken).toFixed(0);
console.log(`answered ${taken.length} of ${answers.length}, not ${longestRow} in a row, the slowest in ${slowest} ms`);
process.exit();
