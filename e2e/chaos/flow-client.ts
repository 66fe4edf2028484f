/**
 * A process on the LAN that keeps TCP connections open: `flow-client.ts PORT COUNT ADDRESS…`, so many to each address, and asks over each twice a second.
 * One that ends, or has no answer for a while, is broken, and another one takes its place. Prints a line of JSON for each that breaks, and each second.
 */
import { connect } from "node:net";
import { monotonicNow } from "../bench/arp-asker.ts";

export interface BrokenFlow {
  /** By `monotonicNow`: when it had its last answer. */
  readonly at: number;
  readonly address: string;
  /** From its first answer to its last. */
  readonly lastedMs: number;
  readonly why: string;
}

export type FlowLine = BrokenFlow | { readonly opened: number };

const everyMs = 500;
// Of a connection that is kept the longest silence is below a second, on a busy machine some seconds.
const silentMs = 15_000;
const againMs = 1_000;
let opened = 0;

function print(line: FlowLine): void {
  console.log(JSON.stringify(line));
}

/** Keeps one connection open for ever. Connections that never had an answer do not count. */
function keep(address: string, port: number): void {
  let answeredAt: number | undefined;
  let openSince = 0;
  let isOver = false;
  const socket = connect({ host: address, port });
  const ask = setInterval(() => {
    socket.write("x");
    if (monotonicNow() - (answeredAt ?? begunAt) > silentMs) end("no answer");
  }, everyMs);
  const begunAt = monotonicNow();
  const end = (why: string): void => {
    if (isOver) return;
    isOver = true;
    clearInterval(ask);
    socket.destroy();
    if (answeredAt !== undefined) print({ at: answeredAt, address, lastedMs: answeredAt - openSince, why });
    setTimeout(() => keep(address, port), againMs);
  };
  socket.on("data", () => {
    if (answeredAt === undefined) opened++;
    answeredAt = monotonicNow();
    openSince ||= answeredAt;
  });
  socket.on("error", ({ message }) => end(message));
  socket.on("close", () => end("closed"));
}

if (import.meta.main) {
  const [port, count, ...addresses] = process.argv.slice(2);
  for (const address of addresses) for (let i = 0; i < Number(count); i++) keep(address, Number(port));
  setInterval(() => print({ opened }), 1_000);
}
