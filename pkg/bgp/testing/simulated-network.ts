import type { Clock, Millis } from "#pkg/clock";
import type { SessionSettings } from "#pkg/config";
import type { Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { Connection, ConnectionEvents, Incoming, SocketEnd, Transport } from "../driver/transport.ts";

const usualLatency: Millis = 1;

/** Faults that a test puts into a direction of a connection. */
export interface Faults {
  /** The connection breaks when this many octets have arrived. */
  breakAfter: number;
  /** Nothing arrives, and writes do not complete. */
  frozen: boolean;
  /** How many octets arrive at once. */
  chunk: number;
}

const healthy: Faults = { breakAfter: Infinity, frozen: false, chunk: Infinity };

/** A network in memory. Every packet takes a millisecond of the clock, or as long as the network takes, and longer where who listens is slow. */
export class SimulatedNetwork {
  /** Connections cannot be had: nobody listens, or nothing answers. */
  refused = false;
  silent = false;
  /** Faults of connections from now on. */
  readonly faults = new Map<string, Partial<Faults>>(); // sender's address -> faults
  readonly #clock: Clock;
  readonly #readDelay: () => Millis;
  readonly #latency: () => Millis;
  readonly #listening = new Map<string, (incoming: Incoming) => void>(); // address -> who listens there
  readonly #pipes = new Set<Pipe>();
  /** Connections that there were. */
  count = 0;

  /**
   * @param readDelay how long who listens takes to read what has come; new connections are taken at once, as BIRD does
   * @param latency how long a packet is on its way now
   */
  constructor(clock: Clock, readDelay: () => Millis = () => 0, latency: () => Millis = () => usualLatency) {
    this.#clock = clock;
    this.#readDelay = readDelay;
    this.#latency = latency;
  }

  /** Number of open connections. */
  get open(): number {
    return this.#pipes.values().reduce((count, { broken }) => count + (broken ? 0 : 1), 0);
  }

  /** @param endNow what becomes of this side's end when its interface has other addresses; nothing when unset */
  transport(own: string, endNow: Transport["endNow"] = (end) => end): Transport {
    return { dial: (peer, events) => this.#dial(own, peer, events), endNow };
  }

  /** In place of a `BgpListener`: takes connections for one address. */
  listener(own: string) {
    return {
      listens: () => true,
      expect: (_: SessionSettings, accept: (incoming: Incoming) => void, former?: Disposable): Disposable => {
        former?.[Symbol.dispose]();
        this.#listening.set(own, accept);
        return { [Symbol.dispose]: () => void this.#listening.delete(own) };
      },
    };
  }

  /** Breaks all connections that began before then, as a router on the way does that resets them. */
  breakAll(before: Millis = Infinity): void {
    for (const pipe of this.#pipes) if (pipe.since < before) pipe.break();
  }

  /** Freezes or thaws all connections. */
  freeze(frozen: boolean): void {
    for (const pipe of this.#pipes) pipe.freeze(frozen);
  }

  /** Lets octets arrive on every connection as if `from` had written them. */
  inject(from: string, octets: Uint8Array): void {
    for (const pipe of this.#pipes) pipe.inject(from, octets);
  }

  #dial(own: string, peer: SessionSettings, events: ConnectionEvents): Connection {
    const to = `${peer.address}`;
    const faults = (from: string): Faults => ({ ...healthy, ...this.faults.get(from) });
    const pipe = new Pipe(
      { clock: this.#clock, readDelay: this.#readDelay, latency: this.#latency },
      { near: own, far: to },
      faults,
    );
    this.#pipes.add(pipe);
    this.count++;
    pipe.onGone = () => this.#pipes.delete(pipe);
    const near = pipe.open("near", events);
    this.#clock.schedule("connect", this.#clock.now() + this.#latency(), () => {
      if (pipe.broken || this.silent) return;
      const accept = this.#listening.get(to);
      if (this.refused || accept === undefined) return pipe.close("near", "connection refused");
      events.connected(endOf(own));
      accept({ end: endOf(to), open: (far) => pipe.open("far", far) });
    });
    return near;
  }
}

function endOf(text: string): SocketEnd {
  const own = address(text);
  return { address: own, interface: "eth0", addresses: new Map<Family, typeof own>([[own.family, own]]), linkLocal: undefined };
}

type Side = "near" | "far";
const other = { near: "far", far: "near" } as const;

/** The addresses by which a connection is routed. */
interface Way {
  readonly clock: Clock;
  readonly readDelay: () => Millis;
  readonly latency: () => Millis;
}

/** Both directions of one connection. */
class Pipe {
  readonly since: Millis;
  onGone: () => void = () => {};
  readonly #way: Way;
  readonly #names: Readonly<Record<Side, string>>;
  readonly #faults: Record<Side, Faults>;
  readonly #events: Partial<Record<Side, ConnectionEvents>> = {};
  readonly #queues: Record<Side, { octets: Uint8Array; written: () => void }[]> = { near: [], far: [] };
  readonly #ended: Record<Side, boolean> = { near: false, far: false };
  readonly #paused: Record<Side, boolean> = { near: false, far: false };
  readonly #arrived: Record<Side, number> = { near: 0, far: 0 };
  readonly #scheduled: Record<Side, boolean> = { near: false, far: false };
  #broken = false;
  /** The side that does not learn that the other side has closed the connection. */
  #unaware: Side | undefined;

  constructor(way: Way, names: Readonly<Record<Side, string>>, faults: (from: string) => Faults) {
    this.since = way.clock.now();
    this.#way = way;
    this.#names = names;
    this.#faults = { near: faults(names.near), far: faults(names.far) };
  }

  get broken(): boolean {
    return this.#broken;
  }

  open(side: Side, events: ConnectionEvents): Connection {
    this.#events[side] = events;
    if (this.#broken) this.close(side, "the peer reset the connection");
    else if (this.#queues[other[side]].length > 0 || this.#ended[other[side]]) this.#move(other[side]); // The kernel has kept it.
    return {
      write: (octets, written) => {
        this.#queues[side].push({ octets, written });
        this.#move(side);
      },
      pause: () => {
        this.#paused[side] = true;
      },
      resume: () => {
        this.#paused[side] = false;
        this.#move(other[side]);
      },
      end: () => {
        this.#ended[side] = true;
        this.#move(side);
      },
      destroy: () => {
        if (this.#faults[side].frozen) this.#unaware = other[side];
        this.close(side, "this side closed the connection");
        if (this.#unaware === undefined) this.close(other[side], "the peer reset the connection");
      },
    };
  }

  inject(from: string, octets: Uint8Array): void {
    const side = this.#names.near === from ? "near" : "far";
    this.#queues[side].push({ octets, written: () => {} });
    this.#move(side);
  }

  freeze(frozen: boolean): void {
    for (const side of ["near", "far"] as const) {
      this.#faults[side].frozen = frozen;
      this.#move(side);
    }
    const unaware = this.#unaware;
    if (frozen || unaware === undefined) return;
    this.#unaware = undefined;
    this.close(unaware, "the peer reset the connection");
  }

  break(): void {
    this.close("near", "the connection broke");
    this.close("far", "the connection broke");
  }

  /** Reports to a side, later, that the connection is closed. */
  close(side: Side, because: string): void {
    this.#broken = true;
    if (this.#unaware === undefined) this.onGone();
    const events = this.#events[side];
    delete this.#events[side];
    const { clock, latency } = this.#way;
    if (events !== undefined) clock.schedule("closed", clock.now() + latency(), () => events.closed(because));
  }

  /** Carries what a side has written to the other, one piece at a time. */
  #move(from: Side): void {
    if (this.#scheduled[from] || this.#broken) return;
    this.#scheduled[from] = true;
    const { clock, latency, readDelay } = this.#way;
    const delay = from === "near" ? readDelay() : 0;
    clock.schedule("packet", clock.now() + latency() + delay, () => {
      this.#scheduled[from] = false;
      this.#arrive(from);
    });
  }

  #arrive(from: Side): void {
    const { frozen, chunk, breakAfter } = this.#faults[from];
    const queue = this.#queues[from];
    const [first] = queue;
    const reader = this.#events[other[from]];
    if (this.#broken || frozen || this.#paused[other[from]] || reader === undefined) return;
    if (first === undefined) {
      if (this.#ended.near && this.#ended.far) this.break();
      // A side whose peer has closed its direction closes its own, as in Node.
      else if (this.#ended[from]) {
        this.#ended[other[from]] = true;
        this.#move(other[from]);
      }
      return;
    }
    const room = Math.min(first.octets.length, chunk, breakAfter - this.#arrived[from]);
    const piece = first.octets.subarray(0, room);
    this.#arrived[from] += room;
    if (room < first.octets.length) queue[0] = { ...first, octets: first.octets.subarray(room) };
    else {
      queue.shift();
      first.written();
    }
    if (piece.length > 0) reader.received(piece);
    if (this.#arrived[from] >= breakAfter) this.break();
    this.#move(from);
  }
}
