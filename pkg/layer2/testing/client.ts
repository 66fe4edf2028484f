import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { EtherType, etherTypeFilter, PacketSocket, PollSet, ReceiveBatch, SendBatch, SystemCallError } from "#pkg/linux";
import { allNodesGroup, unspecifiedAddress } from "#pkg/net";
import { type ArpFrame, ArpOperation, decodeArp, encodeArp } from "../frames/arp.ts";
import { decodeNeighbor, encodeNeighbor, type NeighborFrame, NeighborType } from "../frames/ndp.ts";

/** A host of the LAN, a process in a network namespace of its own: does what `lan.ts` calls, one thing at a time, and may block. */

export type Protocol = keyof typeof EtherType;

const octets = 256;
const sockets = new Map<string, PacketSocket>(); // interface and protocol -> socket
const received = new ReceiveBatch(1, octets);
const toSend = new SendBatch(1, octets);

/** A frame that arrived, and when, in milliseconds since 1970 by a clock that nobody sets. */
export interface Seen {
  readonly at: number;
  readonly frame: Uint8Array;
}

/** The first answer to a request, and how long it took. */
export interface Answered<Frame> {
  readonly reply: Frame;
  readonly microseconds: number;
}

export const client = {
  /** Runs a command in the client's namespace. @returns its standard output */
  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  },

  /** Writes a kernel setting of the client's namespace. */
  setting(name: string, value: number): void {
    writeFileSync(`/proc/sys/${name}`, `${value}`);
  },

  /** Accepts TCP connections at a port from now on. */
  accept(port: number): Promise<void> {
    const server = createServer().unref();
    return new Promise((resolve) => server.listen(port, "::", resolve));
  },

  /** Opens packet sockets; from now on frames queue up for `collect`. */
  listen(name: string): void {
    const index = Number.parseInt(client.run("ip", "-o", "link", "show", "dev", name), 10);
    for (const [protocol, etherType] of Object.entries(EtherType)) {
      sockets.get(`${name} ${protocol}`)?.[Symbol.dispose]();
      sockets.set(`${name} ${protocol}`, PacketSocket.open(index, etherType, etherTypeFilter(etherType, octets)));
    }
  },

  send(name: string, frames: readonly Uint8Array[]): void {
    const socket = socketOn(name, "arp"); // It sends frames of any kind.
    for (const frame of frames) {
      toSend.clear();
      toSend.push(frame);
      for (const { error } of socket.send(toSend)) throw error;
    }
  },

  /** Every frame of a protocol that arrives until `milliseconds` have passed. */
  collect(name: string, milliseconds: number, protocol: Protocol = "arp"): Seen[] {
    const seen: Seen[] = [];
    const end = performance.now() + milliseconds;
    for (let now = performance.now(); now < end; now = performance.now()) {
      const frame = receive(name, protocol, end - now);
      if (frame !== undefined) seen.push({ at: performance.timeOrigin + performance.now(), frame });
    }
    return seen;
  },

  /** Sends a request. @returns undefined when nothing answers it for `milliseconds` */
  request(name: string, request: ArpFrame, milliseconds: number): Answered<ArpFrame> | undefined {
    return firstAnswer(name, "arp", encodeArp(request), milliseconds, (bytes) => {
      const reply = decodeArp(bytes);
      return reply !== undefined && answers(reply, request) ? reply : undefined;
    });
  },

  /** Sends a neighbor solicitation. @returns undefined when nothing answers it for `milliseconds` */
  solicit(name: string, solicitation: NeighborFrame, milliseconds: number): Answered<NeighborFrame> | undefined {
    return firstAnswer(name, "ipv6", encodeNeighbor(solicitation), milliseconds, (bytes) => {
      const reply = decodeNeighbor(bytes);
      return reply !== undefined && advertises(reply, solicitation) ? reply : undefined;
    });
  },

  /** Has the kernel send to an address. @returns the MAC address that it found; undefined after `patienceMs` */
  async resolve(address: string, patienceMs = 30_000): Promise<string | undefined> {
    client.run("ip", "neigh", "flush", "to", address);
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    let found: string | undefined;
    let sentAt = -Infinity;
    for (const start = performance.now(); found === undefined && performance.now() < start + patienceMs; await sleep(50)) {
      if (performance.now() >= sentAt + 1000) {
        socket.send("x", 9, address);
        sentAt = performance.now();
      }
      found = /lladdr (\S+)/.exec(client.run("ip", "neigh", "show", "to", address))?.[1];
    }
    socket.close();
    return found;
  },
};

function answers(reply: ArpFrame, request: ArpFrame): boolean {
  if (reply.operation !== ArpOperation.reply || reply.destination !== request.senderMac) return false;
  return reply.senderAddress === request.targetAddress && reply.targetAddress === request.senderAddress;
}

function advertises(reply: NeighborFrame, { source, target }: NeighborFrame): boolean {
  if (reply.type !== NeighborType.advertisement || reply.target !== target) return false;
  return reply.destination === (source === unspecifiedAddress ? allNodesGroup : source);
}

function firstAnswer<Frame>(
  name: string,
  protocol: Protocol,
  request: Uint8Array,
  milliseconds: number,
  match: (bytes: Uint8Array) => Frame | undefined,
): Answered<Frame> | undefined {
  const start = performance.now();
  client.send(name, [request]);
  for (let now = start; now < start + milliseconds; now = performance.now()) {
    const bytes = receive(name, protocol, start + milliseconds - now);
    const reply = bytes && match(bytes);
    if (reply !== undefined) return { reply, microseconds: (performance.now() - start) * 1000 };
  }
  return undefined;
}

function socketOn(name: string, protocol: Protocol): PacketSocket {
  const socket = sockets.get(`${name} ${protocol}`);
  if (socket === undefined) throw new Error(`Cannot use ${name}: listen first`);
  return socket;
}

/** A copy of the next frame; undefined if no frame came in time. */
function receive(name: string, protocol: Protocol, milliseconds: number): Uint8Array | undefined {
  const socket = socketOn(name, protocol);
  const poll = new PollSet();
  poll.watch([socket.fd]);
  poll.wait(milliseconds);
  try {
    return socket.receive(received) === 0 ? undefined : Uint8Array.from(received.frame(0).frame);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENETDOWN") return undefined; // Told once after it was down.
    throw error;
  }
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
