/**
 * A client of a UDP Service whose Pods echo: `udp-flows.ts ADDRESS PORT`. Sends a packet every 2 ms, in turn from 64 ports, so that a
 * router that shares out flows uses all its ways. Prints `answered` once each port had an answer and, on SIGTERM, a line of JSON.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Flows {
  readonly sent: number;
  /** The numbers of packets that were not answered. */
  readonly lost: readonly number[];
  /** How many answers came from Pods of each node. */
  readonly nodes: Readonly<Record<string, number>>;
}

const flows = 64;
const everyMs = 2;
/** How late an answer may be: all share few processors. */
const lateMs = 20_000;
const atOncePackets = 20;

if (import.meta.main) {
  const [address = "", port] = process.argv.slice(2);
  const unanswered = new Set<number>();
  const nodes: Record<string, number> = {};
  const answered = new Set<Socket>();
  let sent = 0;
  let stopped = false;
  process.once("SIGTERM", () => {
    stopped = true;
  });
  const sockets = Array.from({ length: flows }, () => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    socket.on("message", (data) => {
      const [, node = "", number] = / on (\S+) (\d+)$/.exec(data.toString()) ?? [];
      unanswered.delete(Number(number));
      if (answered.size < flows && answered.add(socket).size === flows) console.log("answered");
      nodes[node] = (nodes[node] ?? 0) + 1;
    });
    return socket;
  });
  let due = performance.now();
  while (!stopped) {
    // It leaves out late packets: a burst would fill buffers, which no client of this kind does.
    due = Math.max(due, performance.now() - atOncePackets * everyMs);
    for (; due < performance.now(); due += everyMs, sent++) {
      unanswered.add(sent);
      sockets[sent % flows]?.send(`${sent}`, Number(port), address, () => {}); // A packet that cannot be sent has no answer either.
    }
    await sleep(1);
  }
  const ended = performance.now();
  while (unanswered.size > 0 && performance.now() < ended + lateMs) await sleep(50);
  console.log(JSON.stringify({ sent, lost: [...unanswered], nodes } satisfies Flows));
  for (const socket of sockets) socket.close();
}
