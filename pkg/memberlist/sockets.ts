import { once } from "node:events";
import { connect, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Millis } from "#pkg/clock";
import { remembered } from "#pkg/collections";
import { type RefusedSources, RefusingListener } from "#pkg/connections";
import {
  type AcceptedConnection,
  DatagramBatch,
  datagramSampleFilter,
  SystemCallError,
  socketAddress as systemAddress,
  TcpSocket,
  UdpSocket,
  withinRoom,
} from "#pkg/linux";
import { Address, type Family } from "#pkg/net";
import type { PolledEventLoop } from "#pkg/threads";
import { maxRemembered } from "./codec/messages.ts";
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
 * One UDP socket and one TCP listener, both served by `loop`, on the same address and port; port 0 means any. Connections beyond 2,048 at
 * once are closed at once. The opener throws {Error} that names address, port and protocol, when they cannot be had.
 */
export function openSockets(loop: PolledEventLoop): OpenTransport {
  return async (bind, events) => {
    for (let attempt = 1; ; attempt++) {
      const tcp = listenTcp(bind);
      const local = { address: bind.address, port: tcp.port };
      try {
        return new Sockets(local, openUdp(local), tcp, { events, loop });
      } catch (error) {
        tcp[Symbol.dispose]();
        if (bind.port !== 0 || attempt >= maxPortAttempts) throw error;
      }
    }
  };
}

class Sockets implements Transport {
  readonly local: SocketAddress;
  readonly #udp: UdpSocket;
  readonly #loop: PolledEventLoop;
  readonly #reading: Disposable;
  #accepting: Disposable | undefined;
  readonly #batch = new DatagramBatch(datagramsPerTurn, maxDatagram);
  readonly #events: TransportEvents;
  readonly #tcp: TcpSocket;
  readonly #refusing: RefusingListener | undefined;
  readonly #streams = new Set<Socket>();
  readonly #destinations = new Map<string, Uint8Array | Error>(); // address and port -> where that is for the system
  #open = true;

  constructor(
    local: SocketAddress,
    udp: UdpSocket,
    tcp: TcpSocket,
    { events, loop }: { readonly events: TransportEvents; readonly loop: PolledEventLoop },
  ) {
    this.local = local;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#events = events;
    this.#loop = loop;
    this.#reading = loop.watch(udp.fd, () => this.#receive());
    this.#refusing = this.#attempt(() => new RefusingListener(tcp.fd));
    this.#watchConnections();
  }

  send(bytes: Uint8Array, to: SocketAddress): Error | undefined {
    if (!this.#open) return new Error(`Cannot send to ${to.address}: the socket is closed`);
    const destination = remembered(this.#destinations, `${to.address} ${to.port}`, maxRemembered, () => this.#destination(to));
    if (destination instanceof Error) return destination;
    try {
      const isSent = this.#udp.send(bytes, destination);
      return isSent ? undefined : new Error(`Cannot send to ${to.address}: too much waits to be sent`);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return error;
    }
  }

  filter(sample: PacketSample | undefined): void {
    if (!this.#open) return;
    this.#attempt(() => withinRoom((optionMemory) => this.#udp.filter(sample && program(sample, optionMemory))));
  }

  dropped(): number {
    return this.#open ? (this.#attempt(() => this.#udp.drops()) ?? 0) : 0;
  }

  refuse(refusal: RefusedSources | undefined): void {
    if (this.#open) this.#attempt(() => this.#refusing?.refuse(refusal));
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
    this.#accepting?.[Symbol.dispose]();
    this.#refusing?.[Symbol.dispose]();
    this.#tcp[Symbol.dispose]();
    await Promise.all([...this.#streams].map((stream) => once(stream.destroy(), "close")));
  }

  #track(stream: Socket): void {
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
  }

  #watchConnections(): void {
    this.#accepting = this.#loop.watch(this.#tcp.fd, () => this.#accept());
  }

  #accept(): void {
    const wasDone = this.#attempt(() => {
      for (let count = 0; count < connectionsPerTurn && this.#open; count++) {
        const accepted = this.#tcp.accept();
        if (accepted === undefined) break;
        this.#admit(accepted);
      }
      return true;
    });
    if (wasDone || !this.#open) return;
    // For example, there are too many descriptors: the waiting connections would make each turn fail.
    this.#accepting?.[Symbol.dispose]();
    this.#accepting = this.#loop.schedule("accept again", this.#loop.now() + acceptAgainAfter, () => this.#watchConnections());
  }

  #admit({ socket, source, sourcePort }: AcceptedConnection): void {
    using _socket = socket;
    const from = socketAddress({ address: source, port: sourcePort });
    if (!this.#events.connection(from)) return;
    if (this.#streams.size >= maxConnectionsAtOnce) {
      this.#events.problem(new Error(`Cannot accept a connection: there are ${maxConnectionsAtOnce} already`));
      return;
    }
    // Half-open: a peer may close its sending side before it has our answer.
    const stream = new Socket({ fd: socket.release(), readable: true, writable: true, allowHalfOpen: true });
    stream.setNoDelay();
    this.#track(stream);
    this.#events.stream(stream, from);
  }

  #receive(): void {
    this.#attempt(() => {
      const count = this.#udp.receive(this.#batch);
      for (let i = 0; i < count && this.#open; i++) {
        const { bytes, source, sourcePort } = this.#batch.sent(i);
        this.#events.packet(bytes, socketAddress({ address: source, port: sourcePort }));
      }
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

  #destination(to: SocketAddress): Uint8Array | Error {
    const { address } = endpoint(to);
    if (address.length !== endpoint(this.local).address.length)
      return new Error(
        `Cannot send to ${to.address}: this member is bound to ${this.local.address}, which is of the other family`,
      );
    if (to.port === 0) return new Error(`Cannot send to ${to.address}: port 0`);
    return systemAddress(address, to.port);
  }
}

function program({ nonceAt, words, sources, oneIn }: PacketSample, optionMemory: number): Uint8Array {
  const ends = sources.map((source) => {
    const { address } = endpoint({ address: source, port: 0 });
    return new DataView(address.buffer, address.byteOffset).getUint32(address.length - 4);
  });
  return datagramSampleFilter({ words: { offset: nonceAt, values: words }, sources: ends, oneIn }, optionMemory);
}

// Above what the receiver keeps: it decides which ones are closed.
const maxConnectionsAtOnce = 2048;

const connectionsPerTurn = 16;
// More than all other members may open while this one is not run for a moment.
const backlog = 511;
const acceptAgainAfter: Millis = 100;

/** @throws {Error} that names address and port */
function listenTcp(bind: SocketAddress): TcpSocket {
  try {
    using stack = new DisposableStack();
    const socket = stack.use(TcpSocket.open(familyOf(bind)));
    socket.reuseAddress();
    socket.bind(Address.fromBytes(endpoint(bind).address), bind.port);
    socket.listen(backlog);
    stack.move();
    return socket;
  } catch (cause) {
    throw new Error(`Cannot listen for memberlist on ${bind.address} port ${bind.port} (TCP)`, { cause });
  }
}

function familyOf({ address }: SocketAddress): Family {
  return address.includes(":") ? "IPv6" : "IPv4";
}

// A large ring changes all at once; what is more waits for the next turn. Only arriving data takes memory of the room for the longest
// datagrams.
const datagramsPerTurn = 16;
const maxDatagram = 65_536;
const hops = 64;

/** @throws {Error} that names address and port */
function openUdp({ address, port }: SocketAddress): UdpSocket {
  const bytes = endpoint({ address, port }).address;
  try {
    const family = familyOf({ address, port });
    return UdpSocket.open({ family, address: bytes, port, ttl: hops, trafficClass: 0 });
  } catch (cause) {
    throw new Error(`Cannot listen for memberlist on ${address} port ${port} (UDP)`, { cause });
  }
}
