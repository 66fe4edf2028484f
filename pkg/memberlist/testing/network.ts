import { type Duplex, duplexPair } from "node:stream";
import type { Clock } from "#pkg/clock";
import type { RefusedSources } from "#pkg/connections";
import type { OpenTransport, PacketSample, SocketAddress, Transport, TransportEvents } from "../transport.ts";

const latency = 1; // Milliseconds, of packets.

/** A network in memory: packets take a millisecond of the clock, streams none of it. Faults are for tests to set. */
export class FakeNetwork {
  /** Packets to these addresses cannot be sent. */
  readonly unreachable = new Set<string>();
  /** Streams to these addresses are neither accepted nor refused. */
  readonly silent = new Set<string>();
  /** Packets that arrive in a flood: address and port -> sample. */
  readonly samples = new Map<string, PacketSample>();
  /** Connections that do not arrive, because there are too many: address and port -> refusal. */
  readonly refusals = new Map<string, RefusedSources>();
  readonly #dropped = new Map<string, number>(); // address and port -> packets
  readonly #clock: Clock;
  #others = 0;
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
      send: (bytes, to) => this.send(bytes, local, to),
      filter: (sample) => (sample === undefined ? this.samples.delete(key) : this.samples.set(key, sample)),
      dropped: () => this.#dropped.get(key) ?? 0,
      refuse: (refusal) => (refusal === undefined ? this.refusals.delete(key) : this.refusals.set(key, refusal)),
      dial: (to) => this.dial(local, to),
      [Symbol.asyncDispose]: async () => void this.#hosts.delete(key),
    };
    return transport;
  };

  send(bytes: Uint8Array, from: SocketAddress, to: SocketAddress): Error | undefined {
    if (this.unreachable.has(to.address)) return new Error("send ENETUNREACH");
    this.#clock.schedule("packet", this.#clock.now() + latency, () => {
      if (this.#passes(bytes, from, keyOf(to))) this.#hostAt(to)?.packet(bytes, from);
    });
    return undefined;
  }

  /** Decides as the kernel does; of all others each `oneIn`-th passes. */
  #passes(bytes: Uint8Array, from: SocketAddress, to: string): boolean {
    const sample = this.samples.get(to);
    if (sample === undefined || sample.sources.includes(from.address)) return true;
    const { nonceAt, words, oneIn } = sample;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length >= nonceAt + 4 && words.includes(view.getUint32(nonceAt))) return true;
    if (++this.#others % oneIn === 0) return true;
    this.#dropped.set(to, (this.#dropped.get(to) ?? 0) + 1);
    return false;
  }

  /** Decides as the kernel does. */
  #takes({ address }: SocketAddress, to: string): boolean {
    const refusal = this.refusals.get(to);
    return refusal === undefined || (!refusal.sources.includes(address) && (refusal.allBut?.includes(address) ?? true));
  }

  #hostAt(to: SocketAddress): TransportEvents | undefined {
    return this.#hosts.get(keyOf(to)) ?? this.#hosts.get(keyOf({ ...to, address: "0.0.0.0" }));
  }

  dial(from: SocketAddress, to: SocketAddress): Duplex {
    const [near, far] = duplexPair({ allowHalfOpen: true });
    // Unlike sockets, the ends of a pair do not notice when the other is destroyed.
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    const host = this.#hostAt(to);
    if (this.silent.has(to.address)) return near;
    if (host === undefined) near.destroy(new Error(`connect ECONNREFUSED ${to.address}:${to.port}`));
    else if (this.#takes(from, keyOf(to)))
      if (host.connection(from)) host.stream(far, { ...from, port: 40_000 });
      else near.destroy();
    return near;
  }
}

function keyOf({ address, port }: SocketAddress): string {
  return `${address} ${port}`;
}
