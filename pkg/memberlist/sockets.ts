import { once } from "node:events";
import { type AddressInfo, connect, createServer, isIPv4, type Server, type Socket as TcpSocket } from "node:net";
import type { Duplex } from "node:stream";
import {
  DatagramBatch,
  datagramSampleFilter,
  type SentDatagram,
  SystemCallError,
  socketAddress as systemAddress,
  UdpSocket,
} from "#pkg/linux";
import type { PolledEventLoop } from "#pkg/threads";
import type { WireAddress } from "./codec/messages.ts";
import {
  endpoint,
  type OpenTransport,
  type PacketSample,
  type SocketAddress,
  socketAddress,
  type Transport,
  type TransportEvents,
} from "./transport.ts";

// A port that the system chose for TCP may be taken for UDP.
const maxPortAttempts = 10;

/**
 * One UDP socket, served by `loop`, and one TCP listener of Node's, on the same address and port; port 0 means any. Connections beyond 2,048 at
 * once are closed at once. What it opens throws {Error} that names address, port and protocol, when they cannot be had.
 */
export function openSockets(loop: PolledEventLoop): OpenTransport {
  return async (bind, events) => {
    for (let attempt = 1; ; attempt++) {
      const tcp = await listenTcp(bind);
      const local = { address: bind.address, port: (tcp.address() as AddressInfo).port };
      try {
        return new Sockets(local, openUdp(local), tcp, { events, loop });
      } catch (error) {
        tcp.close();
        if (bind.port !== 0 || attempt >= maxPortAttempts) throw error;
      }
    }
  };
}

class Sockets implements Transport {
  readonly local: SocketAddress;
  readonly #udp: UdpSocket;
  readonly #reading: Disposable;
  readonly #batch = new DatagramBatch(datagramsPerTurn, maxDatagram);
  readonly #events: TransportEvents;
  readonly #tcp: Server;
  readonly #streams = new Set<TcpSocket>();
  #open = true;

  constructor(
    local: SocketAddress,
    udp: UdpSocket,
    tcp: Server,
    { events, loop }: { readonly events: TransportEvents; readonly loop: PolledEventLoop },
  ) {
    this.local = local;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#events = events;
    this.#reading = loop.watch(udp.fd, () => this.#receive());
    tcp.on("connection", (stream) => {
      this.#track(stream);
      const { remoteAddress, remotePort } = stream;
      if (remoteAddress === undefined || remotePort === undefined)
        stream.destroy(); // Gone already.
      else events.stream(stream, unmapped({ address: remoteAddress, port: remotePort }));
    });
    tcp.on("error", (error) => events.problem(error));
    tcp.on("drop", () => events.problem(new Error(`Cannot accept a connection: there are ${tcp.maxConnections} already`)));
  }

  send(bytes: Uint8Array, to: SocketAddress, done: (error: Error | null) => void): void {
    done(this.#send(bytes, to));
  }

  filter(sample: PacketSample | undefined): void {
    if (this.#open) this.#attempt(() => this.#udp.filter(sample === undefined ? undefined : program(sample)));
  }

  dropped(): number {
    return this.#open ? (this.#attempt(() => this.#udp.drops()) ?? 0) : 0;
  }

  dial(to: SocketAddress): Duplex {
    const stream = connect({ host: to.address, port: to.port, allowHalfOpen: true, noDelay: true });
    this.#track(stream);
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#reading[Symbol.dispose]();
    this.#udp[Symbol.dispose]();
    const closed = once(this.#tcp, "close");
    this.#tcp.close();
    for (const stream of this.#streams) stream.destroy();
    await closed;
  }

  #track(stream: TcpSocket): void {
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
  }

  #receive(): void {
    this.#attempt(() => {
      const count = this.#udp.receive(this.#batch);
      for (let i = 0; i < count && this.#open; i++) this.#take(this.#batch.sent(i));
    });
  }

  #attempt<Result>(call: () => Result): Result | undefined {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#events.problem(error);
      return undefined;
    }
  }

  #take({ bytes, source, sourcePort }: SentDatagram): void {
    this.#events.packet(bytes, socketAddress({ address: source, port: sourcePort }));
  }

  #send(bytes: Uint8Array, to: SocketAddress): Error | null {
    if (!this.#open) return new Error(`Cannot send to ${to.address}: the socket is closed`);
    const address = this.#reachable(endpoint(to).address);
    if (address === undefined)
      return new Error(
        `Cannot send to ${to.address}: this member is bound to ${this.local.address}, which is of the other family`,
      );
    if (to.port === 0) return new Error(`Cannot send to ${to.address}: port 0`);
    try {
      const isSent = this.#udp.send(bytes, systemAddress(address, to.port));
      return isSent ? null : new Error(`Cannot send to ${to.address}: too much waits to be sent`);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return error;
    }
  }

  /** The address in the family of the UDP socket: one bound to IPv6 reaches IPv4 by mapped addresses. */
  #reachable(address: WireAddress): WireAddress | undefined {
    if (isIPv6(this.local.address)) return address.length === 16 ? address : Uint8Array.of(...mappedPrefix, ...address);
    return address.length === 4 ? address : undefined;
  }
}

/** @returns undefined where it would be too long: then all is read */
function program({ nonceAt, words, sources, oneIn }: PacketSample): Uint8Array | undefined {
  const ends = sources.map((source) => {
    const { address } = endpoint({ address: source, port: 0 });
    return new DataView(address.buffer, address.byteOffset).getUint32(address.length - 4);
  });
  return datagramSampleFilter({
    words: nonceAt === undefined ? undefined : { offset: nonceAt, values: words },
    sources: ends,
    oneIn,
  });
}

const mappedPrefix: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]; // RFC 4291, section 2.5.5.2.

function isIPv6(address: string): boolean {
  return address.includes(":");
}

/** A socket bound to IPv6 sees IPv4 peers as IPv4-mapped; they are known by their IPv4 address. */
function unmapped({ address, port }: SocketAddress): SocketAddress {
  return { address: address.startsWith("::ffff:") && isIPv4(address.slice(7)) ? address.slice(7) : address, port };
}

// Above what the receiver keeps: it decides which ones are closed.
const maxConnectionsAtOnce = 2048;

/** @returns a listening server; @throws {Error} that names address and port */
async function listenTcp({ address, port }: SocketAddress): Promise<Server> {
  // Half-open: a peer may close its sending side before it has our answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.maxConnections = maxConnectionsAtOnce;
  try {
    const listening = once(server, "listening");
    server.listen({ host: address, port });
    await listening;
  } catch (cause) {
    throw new Error(`Cannot listen for memberlist on ${address} port ${port} (TCP)`, { cause });
  }
  return server;
}

// A large ring changes all at once; what is more waits for the next turn. Of the room for the longest only what arrives takes memory.
const datagramsPerTurn = 16;
const maxDatagram = 65_536;
const hops = 64;

/** @throws {Error} that names address and port */
function openUdp({ address, port }: SocketAddress): UdpSocket {
  const bytes = endpoint({ address, port }).address;
  try {
    const family = bytes.length === 4 ? "IPv4" : "IPv6";
    return UdpSocket.open({ family, address: bytes, port, dualStack: true, ttl: hops, trafficClass: 0 });
  } catch (cause) {
    throw new Error(`Cannot listen for memberlist on ${address} port ${port} (UDP)`, { cause });
  }
}
