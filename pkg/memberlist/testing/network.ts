import { type Duplex, duplexPair } from "node:stream";
import type { Clock } from "#pkg/clock";
import type { OpenTransport, SocketAddress, Transport, TransportEvents } from "../transport.ts";

const latency = 1; // Milliseconds, of packets.

/** A network in memory: packets take a millisecond of the clock, streams none of it. Faults are for tests to set. */
export class FakeNetwork {
  /** Packets to these addresses cannot be sent. */
  readonly unreachable = new Set<string>();
  /** Streams to these addresses are accepted by nobody. */
  readonly silent = new Set<string>();
  readonly #clock: Clock;
  readonly #hosts = new Map<string, TransportEvents>(); // address and port -> who is there

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly open: OpenTransport = async (bind, events) => {
    const local = { ...bind, port: bind.port === 0 ? 7946 : bind.port };
    const key = keyOf(local);
    if (this.#hosts.has(key)) throw new Error(`Cannot listen for memberlist on ${bind.address} port ${bind.port} (TCP)`);
    this.#hosts.set(key, events);
    const transport: Transport = {
      local,
      send: (bytes, to, done) => this.send(bytes, local, to, done),
      dial: (to) => this.dial(local, to),
      [Symbol.asyncDispose]: async () => void this.#hosts.delete(key),
    };
    return transport;
  };

  send(bytes: Uint8Array, from: SocketAddress, to: SocketAddress, done: (error: Error | null) => void): void {
    const refused = this.unreachable.has(to.address);
    this.#clock.schedule("packet", this.#clock.now() + latency, () => {
      done(refused ? new Error("send ENETUNREACH") : null);
      if (!refused) this.#hosts.get(keyOf(to))?.packet(bytes, from);
    });
  }

  dial(from: SocketAddress, to: SocketAddress): Duplex {
    const [near, far] = duplexPair({ allowHalfOpen: true });
    // Unlike sockets, the ends of a pair do not notice when the other is destroyed.
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    const host = this.#hosts.get(keyOf(to));
    if (host === undefined) near.destroy(new Error(`connect ECONNREFUSED ${to.address}:${to.port}`));
    else if (!this.silent.has(to.address)) host.stream(far, { ...from, port: 40_000 });
    return near;
  }
}

function keyOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`;
}
