/** A host of the LAN, a process in a network namespace of its own: does what `lan.ts` asks, one thing at a time, and may block. */
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { EtherType, etherTypeFilter, PacketSocket, PollSet } from "#pkg/linux";
import { type ArpFrame, ArpOperation, decodeArp, encodeArp } from "../arp.ts";

const sockets = new Map<string, PacketSocket>(); // interface -> socket
const buffer = new Uint8Array(128);

/** A frame that arrived, and when, in milliseconds. */
export interface Seen {
  readonly at: number;
  readonly frame: Uint8Array;
}

export const client = {
  /** Runs a command in the client's namespace. @returns its standard output */
  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  },

  /** Opens a packet socket; from now on frames queue up for `collect`. */
  listen(name: string): void {
    const index = Number.parseInt(client.run("ip", "-o", "link", "show", "dev", name), 10);
    sockets.get(name)?.[Symbol.dispose]();
    sockets.set(name, PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, buffer.length)));
  },

  send(name: string, frames: readonly Uint8Array[]): void {
    for (const frame of frames) socketOn(name).send(frame);
  },

  /** Every frame that arrives until `milliseconds` have passed. */
  collect(name: string, milliseconds: number): Seen[] {
    const seen: Seen[] = [];
    const end = performance.now() + milliseconds;
    for (let now = performance.now(); now < end; now = performance.now()) {
      const frame = receive(name, end - now);
      if (frame !== undefined) seen.push({ at: performance.now(), frame });
    }
    return seen;
  },

  /** Sends a request. @returns the first reply to it, and microseconds until then; undefined after `milliseconds` */
  ask(name: string, request: ArpFrame, milliseconds: number): { reply: ArpFrame; microseconds: number } | undefined {
    const bytes = encodeArp(request);
    const start = performance.now();
    socketOn(name).send(bytes);
    for (let now = start; now < start + milliseconds; now = performance.now()) {
      const frame = receive(name, start + milliseconds - now);
      const microseconds = (performance.now() - start) * 1000;
      const reply = frame && decodeArp(frame);
      if (reply !== undefined && answers(reply, request)) return { reply, microseconds };
    }
    return undefined;
  },

  /** The same request again and again, a millisecond apart. @returns microseconds until each reply, shortest first */
  async measure(name: string, request: ArpFrame, count: number): Promise<number[]> {
    const all: number[] = [];
    for (let i = 0; i < count; i++) {
      await sleep(1);
      all.push(client.ask(name, request, 1000)?.microseconds ?? Infinity);
    }
    return all.sort((a, b) => a - b);
  },

  /** Has the kernel send to an address. @returns the MAC address that it found; undefined after a second */
  async resolve(address: string): Promise<string | undefined> {
    client.run("ip", "neigh", "flush", "to", address);
    const socket = createSocket("udp4");
    socket.send("x", 9, address);
    let found: string | undefined;
    for (const start = performance.now(); found === undefined && performance.now() < start + 1000; await sleep(10))
      found = /lladdr (\S+)/.exec(client.run("ip", "neigh", "show", "to", address))?.[1];
    socket.close();
    return found;
  },
};

function answers(reply: ArpFrame, request: ArpFrame): boolean {
  if (reply.operation !== ArpOperation.reply || reply.destination !== request.senderMac) return false;
  return reply.senderAddress === request.targetAddress && reply.targetAddress === request.senderAddress;
}

function socketOn(name: string): PacketSocket {
  const socket = sockets.get(name);
  if (socket === undefined) throw new Error(`Cannot use ${name}: listen first`);
  return socket;
}

/** A copy of the next frame; undefined when none came in time. */
function receive(name: string, milliseconds: number): Uint8Array | undefined {
  const socket = socketOn(name);
  const poll = new PollSet();
  poll.watch([socket.fd]);
  poll.wait(milliseconds);
  const received = socket.receive(buffer);
  return received && Uint8Array.from(received.frame);
}

/** What `lan.ts` sends for one call. */
export interface Call {
  readonly method: keyof typeof client;
  readonly parameters: readonly unknown[];
}

process.on("message", async ({ method, parameters }: Call) => {
  try {
    const call = client[method] as (...parameters: readonly unknown[]) => unknown;
    process.send?.({ value: await call(...parameters) });
  } catch (error) {
    process.send?.({ error: String(error) });
  }
});
process.on("disconnect", () => process.exit());
process.send?.({ value: "ready" });
