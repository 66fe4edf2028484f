/**
 * Clients of an HTTP port: `http-clients.ts HOST PORT MODE SECONDS`. MODE is `slow` (600 connections whose requests never end, a byte
 * each second), `stuck` (64 connections that ask for /metrics and read nothing) or `many` (600 connections, each
 * with another request after each answer); a closed connection is replaced. Or MODE is `scrape`, which asks for /metrics once a second, and prints `answered
 * N of M` and the time of the slowest answer.
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [host = "", port, mode = "slow", seconds] = process.argv.slice(2);
const request = `GET /metrics HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const count = mode === "stuck" ? 64 : 600;

function misbehave(): void {
  const socket = connect({ host, port: Number(port) });
  let drip: NodeJS.Timeout | undefined;
  socket.on("connect", () => {
    if (mode === "slow") {
      socket.write("GET /metrics HTTP/1.1\r\nX: ");
      drip = setInterval(() => socket.write("y"), 1_000);
    } else {
      socket.write(request);
      if (mode === "stuck") socket.pause();
    }
  });
  socket.on("data", (chunk) => {
    if (mode === "many" && chunk.includes("HTTP/1.1 200")) socket.write(request);
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    clearInterval(drip);
    setTimeout(misbehave, 100);
  });
}

/** @returns how long the answer took, in milliseconds; undefined for none */
async function scrape(): Promise<number | undefined> {
  const began = performance.now();
  try {
    const response = await fetch(`http://${host}:${port}/metrics`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(10_000),
    });
    await response.text();
    return response.status === 200 ? performance.now() - began : undefined;
  } catch {
    return undefined;
  }
}

if (mode === "scrape") {
  const took: (number | undefined)[] = [];
  for (let second = 0; second < Number(seconds); second++) {
    await sleep(1_000);
    took.push(await scrape());
  }
  const answered = took.filter((one) => one !== undefined);
  console.log(`answered ${answered.length} of ${took.length}, the slowest in ${Math.max(0, ...answered).toFixed(0)} ms`);
} else {
  for (let i = 0; i < count; i++) misbehave();
  await sleep(Number(seconds) * 1_000);
}
process.exit();
