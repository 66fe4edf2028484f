import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, isIPv4, type Server, type Socket as TcpSocket } from "node:net";
import type { Duplex } from "node:stream";
import type { SocketAddress, Transport, TransportEvents } from "./transport.ts";

// A port that the system chose for TCP may be taken for UDP.
const maxPortAttempts = 10;

/**
 * Opens one UDP socket and one TCP listener on the same address and port; port 0 means any. Connections beyond 2,048 at
 * once are closed at once.
 * @throws {Error} that names address, port and protocol, when it cannot be had
 */
export async function openSockets(bind: SocketAddress, events: TransportEvents): Promise<Transport> {
  for (let attempt = 1; ; attempt++) {
    const tcp = await listenTcp(bind);
    const local = { address: bind.address, port: (tcp.address() as AddressInfo).port };
    try {
      return new Sockets(local, await bindUdp(local), tcp, events);
    } catch (error) {
      tcp.close();
      if (bind.port !== 0 || attempt >= maxPortAttempts) throw error;
    }
  }
}

class Sockets implements Transport {
  readonly local: SocketAddress;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #streams = new Set<TcpSocket>();
  #open = true;

  constructor(local: SocketAddress, udp: UdpSocket, tcp: Server, events: TransportEvents) {
    this.local = local;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (bytes, from) => events.packet(bytes, unmapped(from)));
    udp.on("error", (error) => events.problem(error));
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
    const address = this.#reachable(to.address);
    if (!this.#open) process.nextTick(done, new Error(`Cannot send to ${to.address}: the socket is closed`));
    else if (address === undefined) process.nextTick(done, this.#unreachable(to));
    else if (to.port === 0)
      process.nextTick(done, new Error(`Cannot send to ${to.address}: port 0`)); // Node would throw.
    else this.#udp.send(bytes, to.port, address, done);
  }

  dial(to: SocketAddress): Duplex {
    const stream = connect({ host: to.address, port: to.port, allowHalfOpen: true, noDelay: true });
    this.#track(stream);
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    const closed = [once(this.#udp, "close"), once(this.#tcp, "close")];
    this.#udp.close();
    this.#tcp.close();
    for (const stream of this.#streams) stream.destroy();
    await Promise.all(closed);
  }

  #track(stream: TcpSocket): void {
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
  }

  /** The address in the family of the UDP socket: one bound to IPv6 reaches IPv4 by mapped addresses. */
  #reachable(address: string): string | undefined {
    if (isIPv6(this.local.address)) return isIPv6(address) ? address : `::ffff:${address}`;
    return isIPv6(address) ? undefined : address;
  }

  #unreachable(to: SocketAddress): Error {
    return new Error(`Cannot send to ${to.address}: this member is bound to ${this.local.address}, which is of the other family`);
  }
}

/** Of an IP address; looked at for each packet. */
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
export async function listenTcp({ address, port }: SocketAddress): Promise<Server> {
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

// Bursts arrive when a large ring changes all at once, and while this process is stopped. The kernel grants what it allows.
const receiveBufferBytes = 2 * 1024 * 1024;

/** @returns a bound socket; @throws {Error} that names address and port */
export async function bindUdp({ address, port }: SocketAddress): Promise<UdpSocket> {
  const family = isIPv6(address) ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    recvBufferSize: receiveBufferBytes,
    // There are only IP addresses to look up, so that no packet has to wait for the answer.
    lookup: (ip, _options, callback) => callback(null, ip, family),
  });
  try {
    const listening = once(socket, "listening");
    socket.bind({ address, port });
    await listening;
  } catch (cause) {
    socket.close();
    throw new Error(`Cannot listen for memberlist on ${address} port ${port} (UDP)`, { cause });
  }
  return socket;
}
